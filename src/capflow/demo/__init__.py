"""The page that ``capflow demo`` serves: a picture goes in, captions come out, and where the model looked."""
