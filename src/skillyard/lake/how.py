"""How an analyst reads a table: code to paste for pandas, DuckDB, Spark, Athena, Iceberg and our own reader.

The tests run what this prints, for every table, in a local folder and on S3. Credentials are never printed: the code takes them from
the environment, under the names that every tool for S3 knows.
"""

from collections.abc import Callable

from skillyard.errors import UnknownName
from skillyard.lake.ddl import DATABASE, athena_ddl, sql_name
from skillyard.lake.lake import Lake
from skillyard.lake.tables import DOCUMENTS, Table

NEWEST_DOCUMENTS = """
# a document has a row per version: its newest one, without those that left the inbox
newest = {frame}.sort_values("ingested_at").drop_duplicates("uri", keep="last")
newest = newest[newest["status"] != "deleted"]"""
NEWEST_DOCUMENTS_SQL = """select * from (
  select *, row_number() over (partition by uri order by ingested_at desc) as version_no from {rows}
) as versions where version_no = 1 and status <> 'deleted'"""
ARROW_STORE = """
# AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY come from the environment; so does AWS_ENDPOINT_URL of a store that is not AWS
store = fs.S3FileSystem(region=os.environ.get("AWS_REGION", "us-east-1"), endpoint_override=os.environ.get("AWS_ENDPOINT_URL"))"""
ICEBERG_STORE = """
# AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY come from the environment; so does AWS_ENDPOINT_URL of a store that is not AWS
store = {"s3.region": os.environ.get("AWS_REGION", "us-east-1")}
if "AWS_ENDPOINT_URL" in os.environ:
    store["s3.endpoint"] = os.environ["AWS_ENDPOINT_URL"]"""
DUCKDB_SECRET = """
connection.execute("INSTALL httpfs")
# AWS_ENDPOINT_URL: of a store that is not AWS
endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "https://s3.amazonaws.com"))
connection.execute(
    "create secret (type s3, key_id ?, secret ?, region ?, endpoint ?, use_ssl ?, url_style 'path')",
    [
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ.get("AWS_REGION", "us-east-1"),
        endpoint.netloc,
        endpoint.scheme == "https",
    ],
)"""
TRIPLE = '"' * 3
ONE_STATE = """What each reader sees: `skillyard.lake.read` and Iceberg follow the list of committed files, so one read sees one state.
pandas, DuckDB, Spark and Athena read the folder: while a publish replaces rows, or a compaction files, they can see such a row
twice, from the moment the new file is placed until the old one is moved away, which follows at once. At rest all see the same rows.
`dt` in the path is the day of `{partition}` (UTC): a condition on it spares reading the other days."""


def how(lake: Lake, table: Table, engine: str | None = None) -> str:
    """Return the code for one engine, or for all of them with what each sees; ``UnknownName`` for an engine that is none of them."""
    if engine is None:
        shown = [f"## {name}\n\n{of_engine(lake, table)}" for name, of_engine in ENGINES.items()]
        return "\n\n".join([*shown, ONE_STATE.format(partition=table.partition)])
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    return ENGINES[engine](lake, table)


def _pandas(lake: Lake, table: Table) -> str:
    imports = "import pandas as pd\nimport pyarrow as pa\nimport pyarrow.dataset as ds\n"
    store, option = ("", "")
    if lake.url.startswith("s3://"):
        imports, store, option = f"import os\n\n{imports}from pyarrow import fs\n", ARROW_STORE, ", filesystem=store"
    newest = NEWEST_DOCUMENTS.format(frame="rows") if table is DOCUMENTS else ""
    return f"""{imports}{store}
path = "{_path(lake, table).removeprefix("s3://")}"
files = ds.dataset(path, partitioning="hive"{option}).get_fragments()
# the columns of all files: by itself pandas takes those of the first, and one that was added later would be missing
columns = pa.unify_schemas([file.physical_schema for file in files])
rows = pd.read_parquet(path, schema=columns{option})
# money is exact (Decimal), times are UTC; dtype_backend="pyarrow" keeps every type as it is in the file{newest}"""


def _duckdb(lake: Lake, table: Table) -> str:
    imports, secret = "import duckdb\n", ""
    if lake.url.startswith("s3://"):
        imports, secret = "import os\nfrom urllib.parse import urlsplit\n\nimport duckdb\n", DUCKDB_SECRET
    rows = f"read_parquet('{_path(lake, table)}/*/*.parquet', union_by_name = true, hive_partitioning = true)"
    newest = f"\nnewest = connection.sql({TRIPLE}{NEWEST_DOCUMENTS_SQL.format(rows=rows)}{TRIPLE})" if table is DOCUMENTS else ""
    return f"""{imports}
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'"){secret}
rows = connection.sql("select * from {rows}")
# rows.to_arrow_table(), and .to_pandas() of that, keep exact decimals; rows.df() turns them into floats{newest}"""


def _spark(lake: Lake, table: Table) -> str:
    read_newest = f"""
rows.createOrReplaceTempView("documents")
newest = spark.sql({TRIPLE}{NEWEST_DOCUMENTS_SQL.format(rows="documents")}{TRIPLE})"""
    return f"""from pyspark.sql import SparkSession

# S3 needs the package org.apache.hadoop:hadoop-aws; a store that is not AWS: spark.hadoop.fs.s3a.endpoint and .path.style.access
spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
# mergeSchema: the columns of all files; the folders' dt becomes the last column, a date, and prunes
rows = spark.read.option("mergeSchema", "true").parquet("{_path(lake, table).replace("s3://", "s3a://")}")
# money is decimal(28,12), times are UTC instants, labels are strings{read_newest if table is DOCUMENTS else ""}"""


def _athena(lake: Lake, table: Table) -> str:
    if not lake.url.startswith("s3://"):
        return f"-- Athena reads S3 only; in a bucket the table would be\n{athena_ddl(table, f's3://BUCKET/{table.name}')}"
    newest = f"\n\n{NEWEST_DOCUMENTS_SQL.format(rows='skillyard.documents')};" if table is DOCUMENTS else ""
    return athena_ddl(table, _path(lake, table)) + newest


def _iceberg(lake: Lake, table: Table) -> str:
    if table.is_recomputed:
        return "# a day of this table is one object, replaced as a whole: there is nothing that Iceberg could add"
    store, options = "", ""
    if lake.url.startswith("s3://"):
        store, options = ICEBERG_STORE, ", **store"
    return f"""import os

from pyiceberg.catalog.sql import SqlCatalog
{store}
# SKILLYARD_ICEBERG: the catalog's URL; where it is set, every publish makes a snapshot (skillyard lake iceberg: at once)
catalog = SqlCatalog("{DATABASE}", uri=os.environ["SKILLYARD_ICEBERG"]{options})
iceberg = catalog.load_table("{DATABASE}.{sql_name(table)}")
rows = iceberg.scan().to_arrow()
# iceberg.scan(snapshot_id=…): a snapshot of iceberg.snapshots(); they reach back to the last publish that replaced rows, or compaction"""


def _skillyard(lake: Lake, table: Table) -> str:
    newest = NEWEST_DOCUMENTS.format(frame="frame") if table is DOCUMENTS else ""
    return f"""# in the environment: SKILLYARD_LAKE={lake.url}
from skillyard.lake import read

rows = read("{table.name}")
# also: columns=["{table.key[0]}"], where={{"{table.key[0]}": "…"}}, as_of=datetime(2026, 1, 31, tzinfo=UTC)
frame = rows.to_pandas(){newest}"""


def _path(lake: Lake, table: Table) -> str:
    """Return the table's folder as other tools write it."""
    from skillyard.storage.local import LocalStorage

    if lake.url.startswith("s3://"):
        return f"{lake.url}/{table.name}"
    return str(LocalStorage(lake.url).folder / table.name)


ENGINES: dict[str, Callable[[Lake, Table], str]] = {
    "pandas": _pandas,
    "duckdb": _duckdb,
    "spark": _spark,
    "athena": _athena,
    "iceberg": _iceberg,
    "skillyard": _skillyard,
}
