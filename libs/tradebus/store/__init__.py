"""The book: transactions with inbox and outbox in Postgres and in memory, shared books, named SQL, migrations."""
