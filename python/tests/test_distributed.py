"""Scans on a Ray and on a Spark cluster of two workers each: the result of one machine, even where a worker dies."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denan.distributed import ScanFailed, _shards, ray, spark

# One cluster of each kind is enough, where tests run at the same time.
pytestmark = pytest.mark.xdist_group("distributed")

# On PYTHONPATH of the workers. The first `denan scan` of the third share kills a process above it, where the file says so.
DEADLY = """
import os, signal, sys, time
from pathlib import Path

def of(pid, what):
    return Path(f"/proc/{pid}/{what}").read_text()

arguments = sys.orig_argv
if "--shard" in arguments and arguments[arguments.index("--shard") + 1].startswith("3/"):
    doomed = Path(__file__).with_name("doomed")
    try:
        victim = doomed.rename(doomed.with_name("dead")).read_text()
    except FileNotFoundError:
        pass
    else:
        worker = above = os.getppid()
        while victim and of(above, "comm").strip() != victim:
            above = int(of(above, "stat").rpartition(")")[2].split()[1])
        os.kill(above, signal.SIGKILL)
        # Nothing outlives its machine.
        if above != worker:
            os.kill(worker, signal.SIGKILL)
        while os.getppid() == worker:
            time.sleep(0.02)
        os._exit(1)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Tables and arrays with a few bad values; one of three pieces, each of which is another share's."""
    numpy = pytest.importorskip("numpy")
    folder = tmp_path_factory.mktemp("set") / "data"
    folder.mkdir()
    random = numpy.random.default_rng(3)
    large = 1 + random.random((1_500_000, 6), dtype="float32")
    large[[7, 750_000, 1_499_999], [0, 3, 5]] = [float("nan"), float("inf"), 1e30]
    numpy.save(folder / "large.npy", large)
    for number in range(5):
        numpy.save(folder / f"part{number}.npy", random.lognormal(0, 2, (3000, 2)))
    for number in range(3):
        rows = (f"{x:.6},{number},{'inf' if at == 90 else 1.5}\n" for at, x in enumerate(random.random(2000)))
        (folder / f"t{number}.csv").write_text("x,label,weight\n" + "".join(rows))
    return folder


@pytest.fixture(scope="module")
def deadly(tmp_path_factory):
    """A folder; what is written to its file `doomed` is the name of the process that dies, the worker by default."""
    folder = tmp_path_factory.mktemp("deadly")
    (folder / "sitecustomize.py").write_text(DEADLY)
    return folder


@pytest.fixture(scope="module")
def environment(deadly):
    """Of the workers, and of this process meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(deadly), os.environ.get("PYTHONPATH")])))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture
def dooms(deadly):
    """`dooms(name)` has that process die; that it did is looked at in the end."""
    doomed, dead = deadly / "doomed", deadly / "dead"
    dead.unlink(missing_ok=True)
    yield doomed.write_text
    assert dead.exists() and not doomed.exists()


@pytest.fixture(scope="module")
def ray_address(environment):
    """Of a cluster of two nodes with a core each, and a head without."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    # That a node is lost is noticed in a second or two.
    checks = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    light = {"object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": checks, **light})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **light)
    cluster.wait_for_nodes()
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def spark_master(environment, tmp_path_factory):
    """Of a cluster of two workers with a core each."""
    pyspark = pytest.importorskip("pyspark")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java")
    home = Path(pyspark.__file__).parent
    folder = tmp_path_factory.mktemp("spark")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    local = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
    started = []

    def start(what, *arguments):
        with open(folder / f"{len(started)}.log", "w") as log:
            command = [home / "bin/spark-class", f"org.apache.spark.deploy.{what}", "--webui-port", "0", *arguments]
            started.append(subprocess.Popen(command, env={**os.environ, **local}, stdout=log, stderr=log))

    def log_of_master():
        return (folder / "0.log").read_text()

    master = f"spark://127.0.0.1:{port}"
    try:
        start("master.Master", "--host", "127.0.0.1", "--port", str(port))
        wait_until(lambda: "New state: ALIVE" in log_of_master())
        for name in ("one", "two"):
            start("worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "-d", str(folder / name), master)
        wait_until(lambda: log_of_master().count("Registering worker") == 2)
        yield master
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


@pytest.fixture
def session(spark_master):
    """A session with that cluster, which has room for one at a time."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(spark_master).config("spark.ui.enabled", False)
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield session
    session.stop()


def wait_until(is_so):
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def denan(*arguments, **keywords):
    return subprocess.run([sys.executable, "-m", "denan", *arguments], capture_output=True, text=True, timeout=300, **keywords)


def plain(data, *options):
    """What one machine says."""
    return json.loads(denan("scan", str(data), "--format", "json", *options).stdout)


def same(one, other):
    return json.dumps(one) == json.dumps(other)


def test_ray_has_the_result_of_one_machine(data, ray_address):
    options = ["--dtype", "float16", "--op", "log:x,sqrt", "--classes", "2"]
    document = ray.scan([data], ray_address, options=options)
    assert document["findings"] and same(document, plain(data, *options))


def test_the_command_shows_what_ray_has_scanned_as_ever(data, ray_address, tmp_path):
    here = data.parent
    on_ray = denan("scan", "data", "--ray", ray_address, "--format", "json", "--shards", "5", cwd=here)
    alone = denan("scan", "data", "--format", "json", cwd=here)
    assert (on_ray.returncode, on_ray.stdout) == (1, alone.stdout), on_ray.stderr
    clean = data / "part0.npy"
    output = tmp_path / "scan.json"
    on_ray = denan("scan", str(clean), "--ray", ray_address, "--output", str(output))
    alone = denan("scan", str(clean))
    assert (on_ray.returncode, on_ray.stdout) == (alone.returncode, alone.stdout), on_ray.stderr
    assert json.loads(output.read_text()) == plain(clean)


def test_failures_on_ray_have_the_exit_codes_of_one_machine(ray_address, tmp_path):
    nowhere = denan("scan", str(tmp_path / "nowhere"), "--ray", ray_address)
    assert nowhere.returncode == 2
    assert "does not see" in nowhere.stderr and "at the same path on all machines" in nowhere.stderr
    empty = denan("scan", str(tmp_path), "--ray", ray_address)
    assert empty.returncode == 3 and "holds no data that denan reads" in empty.stderr, empty.stderr


def test_ray_scans_the_share_of_a_dead_worker_again(data, ray_address, dooms):
    dooms("")
    assert same(ray.scan([data], ray_address), plain(data))


# The last of Ray: it has one node less from then on.
def test_ray_scans_the_shares_of_a_dead_node_again(data, ray_address, dooms):
    dooms("raylet")
    assert same(ray.scan([data], ray_address), plain(data))


def test_spark_has_the_result_of_one_machine(data, session):
    options = ["--dtype", "float16", "--op", "log:x,sqrt", "--classes", "2"]
    document = spark.scan(session, [data], options=options)
    assert document["findings"] and same(document, plain(data, *options))


def test_spark_scans_the_share_of_a_dead_worker_again(data, session, dooms):
    dooms("")
    assert same(spark.scan(session, [data]), plain(data))


def test_spark_scans_the_shares_of_a_dead_executor_again(data, session, dooms):
    dooms("java")
    assert same(spark.scan(session, [data]), plain(data))


def test_the_command_shows_what_spark_has_scanned_as_ever(data, spark_master):
    here = data.parent
    on_spark = denan("scan", "data", "--spark", spark_master, "--format", "json", "--shards", "5", cwd=here)
    alone = denan("scan", "data", "--format", "json", cwd=here)
    assert (on_spark.returncode, on_spark.stdout) == (1, alone.stdout), on_spark.stderr


def test_a_worker_without_denan_or_with_another_version_is_named(data, tmp_path, monkeypatch):
    job = _shards.job(data, [])
    state, code, why = _shards.scan_share(0, 2, *job[:-1], "0.0.7")
    assert (state, code) == (None, 2)
    assert "and denan 0.0.7 is needed\n  help: there: " in why, why
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named denan >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    state, code, why = _shards.scan_share(0, 2, *job)
    assert (state, code) == (None, 2)
    assert "has no denan, and denan " in why, why


@pytest.mark.parametrize("name", ["ray", "pyspark"])
def test_without_the_package_of_the_cluster_it_is_said_how_to_get_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    scan = ray.scan if name == "ray" else lambda paths: spark.scan(None, paths)
    with pytest.raises(ImportError, match=f"pip install {name}"):
        scan(["data"])


def test_a_cluster_that_is_not_there_is_not_waited_for():
    pytest.importorskip("ray")
    with pytest.raises(ScanFailed, match="no Ray cluster answers at 127.0.0.1:9"):
        ray.scan(["data"], "127.0.0.1:9")


def test_what_hands_out_the_shares_ends_with_the_command(tmp_path):
    pid = tmp_path / "pid"
    endless = f"import os, pathlib, time\nis_initialized = lambda: False\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    (tmp_path / "ray.py").write_text(f"{endless}\ndef init(*address, **options):\n    time.sleep(600)\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    scan = subprocess.Popen([sys.executable, "-m", "denan", "scan", ".", "--ray", "auto"], env={**os.environ, "PYTHONPATH": path})
    wait_until(lambda: pid.exists() and pid.read_text())
    scan.kill()
    scan.wait()
    wait_until(lambda: not Path(f"/proc/{pid.read_text()}").exists())


def test_states_of_different_scans_are_not_joined(data):
    shares = [_shards.scan_share(number, 2, *_shards.job(data, options)) for number, options in enumerate(([], ["--classes", "2"]))]
    with pytest.raises(ScanFailed, match="the states are of different scans"):
        _shards.result(share for share in enumerate(shares))


def test_importing_it_imports_neither_ray_nor_spark():
    ask = "import denan.distributed, sys; print([name for name in ('ray', 'pyspark') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout == "[]\n"
