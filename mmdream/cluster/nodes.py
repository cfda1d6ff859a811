"""The engine's scheduler, workers and client, started with what mmdream needs of them and nothing more.

The engine runs what it is sent, so that whoever reaches a scheduler owns it: nothing starts without keys, and
all that is said goes by TLS between those who have them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdream.core.errors import UserError
from mmdream.core.files import write_atomically

if TYPE_CHECKING:
    from distributed import Client, LocalCluster
    from distributed.security import Security

    from mmdream.cluster.tasks import Call

CERTIFICATE_FILE, KEY_FILE = "certificate.pem", "key.pem"
LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 30
"""Given to a scheduler to answer."""
ROLES = "client", "scheduler", "worker"
_CONFIG = {
    "distributed.comm.require-encryption": True,
    # The engine's servers for web pages hold no page, see `_close_web_server`.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Parts are large on purpose.
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
    # A worker without room for a task would wait for ever: what a film needs, it needs.
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.terminate": False,
    # Looks at itself a hundred and fifty times a second: 64 workers that wait kept two processors busy.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
}


def import_engine() -> Any:
    """dask.distributed, quiet and set up; a `UserError` where it is not installed."""
    try:
        import cryptography  # noqa: F401
        import dask
        import distributed
    except ImportError as error:
        raise UserError("needs more packages: pip install 'mmdream[cluster]'") from error
    dask.config.set(_CONFIG)
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


def make_keys(folder: Path) -> None:
    """Write a new certificate and its key, which all machines of a cluster share, into a new or empty folder.

    They are good for a year. `UserError`: the folder holds something.
    """
    security = import_engine().Security.temporary()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"{folder}: holds something already; name a new folder")
        for name, text in ((KEY_FILE, security.tls_client_key), (CERTIFICATE_FILE, security.tls_client_cert)):
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.close(handle)
            write_atomically(folder / name, text.encode())
            (folder / name).chmod(0o600)
    except OSError as error:
        raise UserError(f"{folder}: keys cannot be written there ({error.strerror})") from error


def read_keys(folder: Path) -> Security:
    """What `make_keys` wrote; a `UserError` if it is not there."""
    certificate, key = folder / CERTIFICATE_FILE, folder / KEY_FILE
    for path in (certificate, key):
        try:
            found = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            found = ""
        if "-----BEGIN" not in found:
            raise UserError(f"{folder}: holds no keys; make some with: mmdream cluster keys {folder}")
    named = {f"tls_{role}_cert": str(certificate) for role in ROLES}
    named |= {f"tls_{role}_key": str(key) for role in ROLES}
    return import_engine().Security(tls_ca_file=str(certificate), require_encryption=True, **named)


def run_scheduler(keys: Path, host: str, port: int, dashboard: bool, tell: Callable[[str], None]) -> None:
    """Run a scheduler until it is stopped, and tell its address. `UserError`: it cannot listen there."""
    engine, security = import_engine(), read_keys(keys)
    _check_host(host, port)
    if dashboard and find_spec("bokeh") is None:
        raise UserError("--dashboard needs one more package: pip install bokeh")

    async def run() -> None:
        import dask

        with dask.config.set({"distributed.scheduler.http.routes": []}):
            scheduler = engine.Scheduler(
                host=host, port=port, protocol="tls", security=security, dashboard=dashboard,
                dashboard_address=f"{LOOPBACK}:8787" if dashboard else f"{LOOPBACK}:0",
            )  # fmt: skip
        if not dashboard:
            _close_web_server(scheduler)
        async with scheduler:
            tell(scheduler.address)
            await scheduler.finished()

    try:
        asyncio.run(run())
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{host}:{port}: a scheduler cannot listen there ({error})") from error


def run_worker(address: str, keys: Path, host: str | None, folder: Path | None) -> None:
    """Work for a scheduler until it goes; one process, one task at a time.

    `host` is the address of this machine where the scheduler reaches it, `folder` where parts are written on
    their way; None: the system's.

    Raises:
        UserError: no scheduler, or none with these keys, answers at the address.
    """
    engine, security = import_engine(), read_keys(keys)
    check_address(address)
    if host is None and not _is_loopback(address):
        raise UserError("name the address of this machine that the scheduler reaches: --host ADDRESS")
    _check_host(host or LOOPBACK, 0)

    async def run() -> None:
        worker = engine.Worker(
            address, nthreads=1, name=f"{socket.gethostname()}-{os.getpid()}", host=host or LOOPBACK,
            security=security, memory_limit=0, dashboard=False, dashboard_address=f"{LOOPBACK}:0",
            local_directory=None if folder is None else str(folder), death_timeout=CONNECT_SECONDS,
        )  # fmt: skip
        async with worker:
            _close_web_server(worker)
            await worker.finished()

    try:
        asyncio.run(run())
    except (OSError, RuntimeError, TimeoutError) as error:
        raise UserError(f"{address}: no scheduler with these keys answers there") from error


def _check_host(host: str, port: int) -> None:
    """Refuse an address that is not this machine's, or a port that is taken."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise UserError(f"{host}:{port}: cannot listen there ({error.strerror or error})") from error


def _close_web_server(node: Any) -> None:
    """Stop listening for web pages, which the engine does even where it has none to show."""
    with suppress(AttributeError):
        node.http_server.stop()


def check_address(address: str) -> None:
    """Refuse what is no scheduler's address."""
    if not address.startswith("tls://"):
        raise UserError(f"{address}: is no scheduler's address; they look like tls://127.0.0.1:8786")


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("tls://").rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def connect(address: str, keys: Path, seconds: float = CONNECT_SECONDS) -> Iterator[Client]:
    """A client of a scheduler; a `UserError` if none with these keys answers."""
    engine, security = import_engine(), read_keys(keys)
    check_address(address)
    try:
        client = engine.Client(
            address, security=security, timeout=seconds, set_as_default=False, name="mmdream"
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"{address}: no scheduler with these keys answers there") from error
    try:
        yield client
    finally:
        _close(client)


@contextmanager
def start_local_workers(count: int, folder: Path, first: Call | None = None) -> Iterator[Client]:
    """So many worker processes here, with keys of their own; they write what is on its way into a folder.

    Each of them does `first` at once, while the film is looked at.
    """
    engine = import_engine()
    cluster: LocalCluster = engine.LocalCluster(
        n_workers=count, threads_per_worker=1, processes=True, host=LOOPBACK, protocol="tls",
        security=engine.Security.temporary(), dashboard_address=f"{LOOPBACK}:0",
        worker_dashboard_address=f"{LOOPBACK}:0", memory_limit=0, local_directory=str(folder),
        silence_logs=logging.CRITICAL,
    )  # fmt: skip
    _close_web_server(cluster.scheduler)
    client = engine.Client(cluster, set_as_default=False, name="mmdream")
    begun = []
    if first is not None:
        for each in client.scheduler_info()["workers"]:
            begun.append(client.submit(first.function, *first.arguments, workers=[each], pure=False))
    try:
        yield client
    finally:
        del begun
        _close(client)
        with suppress(Exception):  # Whoever cannot be closed any more is gone.
            cluster.close(timeout=5)


def _close(client: Client) -> None:
    with suppress(Exception):
        client.close(timeout=2)
