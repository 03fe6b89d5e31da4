"""
The fault catalogue as data, done to us in every way that a download may meet it, and to others beside us.

`rows` says what a row is, `framing`, `ranges`, `heads`, `answers` are the rows, `ours` and `peers` go through them,
`table` makes the account. A new fault is a new row.
"""
