"""The stand-in for DMS: PostgreSQL's logical replication from the source to the warehouse, told to moto as DMS would."""
