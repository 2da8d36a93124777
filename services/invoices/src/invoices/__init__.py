"""The invoices service of the reference shop."""
