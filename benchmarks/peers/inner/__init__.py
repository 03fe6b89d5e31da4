"""One module for each contestant that is a Python library: run as a program, it times what lies between the imports."""
