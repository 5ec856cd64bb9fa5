"""Real servers of MySQL and MariaDB, each of one's own, for the tests of MySQL sources."""
