"""The stand-in for DMS: logical replication from the source to the warehouse, told to moto as DMS would."""
