"""Side series, point in time: what each is, when a value is known, and how people's files of it are read.

A series is one entry of `catalogue.py` and, where no reader there fits, one function of `readers.py`.
"""
