#!/bin/sh
# Run once by the image, when the volume is empty: Prefect's tables stand in a database of their own.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --command "CREATE DATABASE prefect"
