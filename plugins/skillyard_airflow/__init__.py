"""The Airflow edge of Skillyard: thin, and light to import, because every Airflow process imports it."""
