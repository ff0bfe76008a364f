"""Azure tables, rows, transactions and blobs."""
