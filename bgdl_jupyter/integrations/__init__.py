"""Libraries of data science that downloads work with; each module imports its library only when it is used."""
