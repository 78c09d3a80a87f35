"""Run a script of SQL as it stands, online and offline."""

from alembic import op


def run(script: str) -> None:
    """Run SQL with percent signs and colons as they are, and as many statements as it has."""
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(script if script.rstrip().endswith(";") else f"{script};")
    else:
        op.get_bind().execution_options(no_parameters=True).exec_driver_sql(script)
