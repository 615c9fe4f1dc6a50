"""What made each stored table: recorded beside it, and compared before anybody reads it."""
