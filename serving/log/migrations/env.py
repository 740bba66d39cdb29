"""What alembic runs: the steps, on the connection that serving.log.database hands over."""

from alembic import context

from serving.log.tables import VERSIONS, metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSIONS)
context.run_migrations()
