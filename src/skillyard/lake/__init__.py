"""The output tables: their schemas, and the only code that writes, validates and reads them."""
