"""docker-compose.yml, its Redis users and its secrets hold what docs/operations.md promises. Needs no Docker."""

import os
import re
import shutil
import stat
import subprocess
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tradebus.bus.port import dead_letter_stream
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMAND_INBOX, EVENT_CHANNEL, EVENTS, STREAMS
from tradebus.store.postgres.grants import SERVICES as GRANTED

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
MAKE_SECRETS = ROOT / "deploy" / "make-secrets"
USERS = ROOT / "deploy" / "redis" / "users.acl"
# What has no container of its own: the command line, and what runs without a bus.
NOT_CONTAINERS = {"cli", "backtest", "sandbox"}
SERVERS = {"redis", "postgres"}
SPEAK_TO_BROKERS = {"market_data", "execution", "gateway", "cli"}
# Where a stack that is not in containers stands: at a sandbox on this machine, beside others on its servers.
NOT_IN_COMPOSE = {"TRADEBUS_NAMESPACE", "TRADEBUS_CREDENTIALS_KEY", "TRADEBUS_MARKET_CLOCK"}
RUN_ONCE = {"migrate", "database_roles", "cli", "sandbox"}
# Forwards connections of this machine; the only one that runs on a network with a way out.
DOOR = "door"
ON_EXIT = "on_exit"  # speaks to the gateway alone, and has no rights on either server
LIST_NAMES = ("COMMON", "READ", "GROUP")


def parse(text: str) -> dict[str, Any]:
    """The part of YAML that the file keeps to: nested mappings, anchors, `<<: *anchor`. Other values stay text."""
    anchors: dict[str, dict[str, Any]] = {}
    root: dict[str, Any] = {}
    open_blocks: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    last: tuple[dict[str, Any], str] | None = None
    for line in text.splitlines():
        bare = line.split(" #")[0].rstrip()
        if not bare.strip() or bare.lstrip().startswith("#"):
            continue
        indent = len(bare) - len(bare.lstrip())
        found = re.match(r"([A-Za-z_<][A-Za-z0-9_<-]*):(?: +(.*))?$", bare.strip())
        if found is None:  # a list's item, or a value that goes on
            assert last is not None, line
            owner, key = last
            owner[key] = f"{owner[key]} {bare.strip()}".strip() if isinstance(owner[key], str) else bare.strip()
            continue
        key, value = found[1], found[2] or ""
        while open_blocks[-1][0] >= indent:
            open_blocks.pop()
        block = open_blocks[-1][1]
        if key == "<<":
            block.update(anchors[value.removeprefix("*")])
        elif value == "" or value.startswith("&"):
            block[key] = {}
            if value:
                anchors[value[1:]] = block[key]
            open_blocks.append((indent, block[key]))
        else:
            block[key] = value
        last = (block, key)
    return root


TEXT = COMPOSE.read_text()
BROKERS_TEXT = COMPOSE.with_name("docker-compose.brokers.yml").read_text()
TREE = parse(TEXT)
SERVICES: dict[str, dict[str, Any]] = TREE["services"]
LONG_RUNNING = sorted(set(SERVICES) - RUN_ONCE)


def test_every_service_folder_has_a_container_that_runs_its_module():
    for main in ROOT.glob("services/*/*main.py"):
        folder = main.parent.name
        if folder in NOT_CONTAINERS:
            continue
        name = folder if main.stem == "main" else f"{folder}_{main.stem.removesuffix('_main')}"
        assert f"services.{folder}.{main.stem}]" in SERVICES[name]["command"], name


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_container_is_watched_restarted_and_given_time_to_stop(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["stop_grace_period"] in ("30s", "60s")
    assert "max-size" in service["logging"]["options"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_no_more_rights_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] == "true"
    assert service["cap_drop"] == "[ALL]"
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert int(service["pids_limit"]) > 0
    if name in SERVERS:
        assert service["user"] == name  # the image of our own services has its user set
    else:
        assert "USER 10001:10001" in (ROOT / "deploy/Dockerfile").read_text()


def test_every_container_of_ours_has_the_file_that_its_environment_names():
    for name in set(SERVICES) - SERVERS - {"database_roles"}:
        if SERVICES[name].get("environment", {}).get("TRADEBUS_MARKET_RULES") == "/market_rules":
            assert ":/market_rules:ro" in SERVICES[name]["volumes"], name


def test_what_the_handbook_says_can_be_set_reaches_a_container():
    text = (ROOT / "docs/operations.md").read_text().partition("\n## Brokers")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}
    assert len(named) > 25
    assert {name for name in named if f"${{{name}" not in TEXT} - {"PIP_INDEX_URL"} == set()
    brokers = (ROOT / "docs/operations.md").read_text().partition("\n## Brokers")[2].partition("\n### ")[0]
    named = set(re.findall(r"^\| .*?`([A-Z][A-Z0-9_]+)`.*? \|", brokers, re.MULTILINE))
    assert {"TRADEBUS_FEED_CREDENTIAL", "FEED_POLL_SECONDS"} <= named
    assert {name for name in named if f"${{{name}" not in TEXT + BROKERS_TEXT} == NOT_IN_COMPOSE
    for file in re.findall(r":-(\./deploy/[a-z_]+\.json)\}", TEXT):
        assert (ROOT / file).is_file(), file


def test_services_wait_for_migrations_and_the_command_line_for_nothing():
    for name in set(SERVICES) - SERVERS - RUN_ONCE - {DOOR}:
        assert SERVICES[name]["depends_on"]["migrate"] == "{condition: service_completed_successfully}"
        # Named here too, so that a service is ended before them: what `migrate` stands on is forgotten once it ran.
        assert SERVICES[name]["depends_on"]["redis"] == "{condition: service_healthy}"
        assert SERVICES[name]["depends_on"]["postgres"] == "{condition: service_healthy}"
    assert SERVICES["migrate"]["depends_on"] == {"database_roles": "{condition: service_completed_successfully}"}
    assert SERVICES["database_roles"]["depends_on"] == {"postgres": "{condition: service_healthy}"}
    assert SERVICES["cli"]["depends_on"] == SERVICES[DOOR]["depends_on"] == SERVICES["sandbox"]["depends_on"] == "[]"


def test_what_closes_positions_ends_before_every_service_and_in_less_than_its_grace_period():
    assert set(GRANTED) - {"market_data_api"} <= set(SERVICES[ON_EXIT]["depends_on"])
    assert SERVICES[ON_EXIT]["environment"]["TRADEBUS_ON_EXIT_SECONDS"].endswith(":-45}")  # of 60


def test_nothing_is_published_beyond_this_machine_and_only_the_door_has_a_way_out():
    published = {name: str(service["ports"]).strip("[]") for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {DOOR, "sandbox"}
    for ports in published.values():
        for port in re.findall(r"[^\s\",-][^\s\",]*:[0-9-]+", ports):
            assert port.startswith("127.0.0.1:"), port
    assert TREE["networks"]["bus"] == {"internal": "true"}
    assert "enable_ip_masquerade" in TREE["networks"]["edge"]["driver_opts"]
    outside = {name for name, service in SERVICES.items() if "edge" in service["networks"]}
    assert outside == {DOOR, "sandbox"}
    assert SERVICES["sandbox"]["networks"] == "[edge]"  # it knows nobody of the bus
    for name in outside:
        assert "secrets" not in SERVICES[name], name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_can_take_no_more_of_the_machine_than_its_share(name):
    assert re.fullmatch(r"\$\{TRADEBUS_[A-Z]+_MEMORY:-[0-9]+g\}|256m", SERVICES[name]["mem_limit"])
    assert re.fullmatch(r"\$\{TRADEBUS_SERVICE_CPUS:-1\}", SERVICES[name]["cpus"])


def test_no_container_but_the_database_and_what_makes_its_roles_knows_a_superuser():
    for name, service in SERVICES.items():
        secrets = str(service.get("secrets", ""))
        knows = re.search(r"(^|[\s,\[-])database_password([\s,\]]|$)", secrets) is not None
        assert knows == (name in ("postgres", "database_roles")), name
        url = service.get("environment", {}).get("DATABASE_URL") if name not in SERVERS else None
        if url is not None:
            whose = "owner" if name in ("migrate", "cli") else name
            assert url == f"postgresql://tradebus_{whose}@postgres:5432/tradebus"
            assert f"{{source: database_password_{whose}, target: database_password}}" in secrets
    made = (ROOT / "deploy/postgres/make-roles").read_text()
    assert set(re.findall(r"for name in ([a-z_ ]+);", made)[0].split()) == {"owner", *GRANTED}
    assert set(GRANTED) == set(SERVICES) - SERVERS - RUN_ONCE - {DOOR, ON_EXIT}


def test_the_file_for_brokers_opens_a_way_out_for_those_who_speak_to_them_and_changes_nothing_else():
    tree = parse(BROKERS_TEXT)
    assert set(tree["networks"]) == {"outside"}
    for name, changes in tree["services"].items():
        assert set(changes) <= {"networks", "environment", "volumes"}, name
        assert changes.get("networks", "[bus, outside]") == "[bus, outside]"
        assert changes.get("volumes", '["state:/var/lib/tradebus"]') == '["state:/var/lib/tradebus"]'
        for variable, value in changes["environment"].items():
            assert value.startswith(f"${{{variable}:"), f"{name}: {variable}"
    services = tree["services"]
    assert {name for name, changes in services.items() if "networks" in changes} == SPEAK_TO_BROKERS
    # Where the stored logins lie.
    for name in SPEAK_TO_BROKERS:
        assert "state:/var/lib/tradebus" in f"{services[name].get('volumes')} {SERVICES[name]['volumes']}", name


def test_every_image_comes_from_a_variable_with_a_public_default():
    images = re.findall(r"^ +image: (.+)$", TEXT, re.MULTILINE)
    assert len(images) == 4
    assert all(re.fullmatch(r"\$\{[A-Z_]+:-[a-z0-9.:-]+\}", image) for image in images)
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}", "dependencies"}
    assert "--require-hashes" in dockerfile


def test_secrets_are_files_and_nothing_secret_is_written_down():
    used = set()
    for name, service in SERVICES.items():
        given = str(service.get("secrets", ""))
        used |= set(re.findall(r"(?:source: |[\[ ,-])((?:api|database|redis)_[a-z_]+)", given)) - {"redis_password"}
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.startswith("/run/secrets/")
        assert not re.search(r"://[^/@ ]*:[^/@ ]*@", str(service)), f"{name}: a URL with a password"
    assert used <= set(TREE["secrets"])
    for name, source in TREE["secrets"].items():
        assert source == f'{{file: "${{TRADEBUS_SECRETS_DIR:-./secrets}}/{name}"}}'


def test_only_examples_of_secrets_are_committed():
    listed = subprocess.run(
        ["git", "ls-files", "secrets"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert all(name.endswith((".example", "README.md")) for name in listed), listed
    assert {path.name for path in (ROOT / "secrets").glob("*.example")} >= {
        "api_token.example", "database_password.example", "redis_password.example",
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command: the file was read without it")
def test_docker_compose_reads_the_file():
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose")
    command = ["docker", "compose", "-f", COMPOSE, "config", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr


# Redis users


def made(folder: Path, **environment: str) -> dict[str, str]:
    """Runs make-secrets on a folder; the lines of redis_users by user."""
    given = {"PATH": os.environ["PATH"], **environment}
    subprocess.run([MAKE_SECRETS, folder], check=True, capture_output=True, env=given)
    lines = (folder / "redis_users").read_text().splitlines()
    return {line.split()[1]: line for line in lines}


def selectors(line: str) -> list[tuple[list[str], list[str], list[str]]]:
    """Key patterns, channels and commands of each pair of brackets."""
    return [
        (
            [word[1:] for word in words if word[0] == "~"],
            [word[1:] for word in words if word[0] == "&"],
            [word[1:] for word in words if word[0] == "+"],
        )
        for words in (part.split() for part in re.findall(r"\(([^)]*)\)", line))
    ]


def may(line: str, command: str, key: str) -> bool:
    return any(
        command in commands and any(fnmatchcase(key, pattern) for pattern in keys)
        for keys, _, commands in selectors(line)
    )


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("secrets"))


def test_redis_lets_only_its_producer_write_a_stream(users):
    services = set(users) - {"default", "health", "app"}
    assert services == set(SERVICES) - SERVERS - RUN_ONCE - {DOOR, ON_EXIT}
    for stream in STREAMS:
        if stream == COMMAND_INBOX:
            continue
        key = stream.shard(0) if f"~{stream.name}.*" in USERS.read_text() else stream.name
        writers = {name for name in (*services, "app") if may(users[name], "xadd", key)}
        assert writers == {stream.producer}, stream.name


def test_who_may_add_to_a_stream_of_commands_may_empty_only_its_own(tmp_path):
    """XADD … MAXLEN 0 empties what it adds to, and no right tells the two apart."""
    users = made(tmp_path / "secrets", TRADEBUS_APPLICATIONS="app,desk_2")
    assert {"app", "desk_2"} <= set(users)
    for key, owner in {
        COMMAND_INBOX.name: None, f"{COMMAND_INBOX.name}.app": "app", f"{COMMAND_INBOX.name}.desk_2": "desk_2"
    }.items():  # fmt: skip
        for name in set(users) - {"default", "health"}:
            assert may(users[name], "xadd", key) == (name == owner), f"{name} at {key}"
            assert not any(may(users[name], one, key) for one in ("xtrim", "del", "unlink", "xsetid")), name
        assert may(users["gateway"], "xreadgroup", key)


@pytest.mark.parametrize("name", ["risk", "default", "Desk", "a b;c", "x" * 41, "-"])
def test_an_application_with_an_impossible_name_is_refused(tmp_path, name):
    run = subprocess.run(
        [MAKE_SECRETS, tmp_path / "secrets"], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "TRADEBUS_APPLICATIONS": name},
    )  # fmt: skip
    assert run.returncode == 2
    assert "TRADEBUS_APPLICATIONS: " in run.stderr


def test_a_service_may_measure_what_it_writes(users):
    """Publishing asks how far the readers of a stream are, and after a lost reply looks for what it sent."""
    for name in set(users) - {"default", "health", "app"}:
        for keys, _, commands in selectors(users[name]):
            for key in keys if "xadd" in commands else ():
                if not key.endswith(dead_letter_stream("")):
                    asked = ("xinfo|stream", "xinfo|groups", "xpending", "xrange", "xrevrange")
                    assert all(may(users[name], one, key.replace("*", "{0}")) for one in asked), f"{name}: {key}"


def test_what_a_service_reads_in_one_command_is_in_one_pair_of_brackets(users):
    """Redis lets a command through only where one pair allows it with all its keys."""
    for name in set(users) - {"default", "health"}:
        of = [(keys, commands) for keys, _, commands in selectors(users[name])]
        taken = [keys for keys, commands in of if "xreadgroup" in commands]
        looked_at = [keys for keys, commands in of if "xread" in commands and "xreadgroup" not in commands]
        assert max(len(taken), len(looked_at)) <= 1, f"{name}: {taken} {looked_at}"


def test_a_service_may_bury_what_it_may_take(users):
    for name in set(users) - {"default", "health", "app"}:
        for keys, _, commands in selectors(users[name]):
            if "xreadgroup" not in commands:
                continue
            for key in keys:
                dead = dead_letter_stream(key.replace("*", "{0}"))
                # The command inbox is never copied: its bodies may hold access tokens.
                assert may(users[name], "xadd", dead) != key.startswith(COMMAND_INBOX.name), f"{name}: {dead}"


def test_a_service_may_note_what_it_has_in_hand_and_only_the_inbox_can_be_erased(users):
    for name in set(users) - {"default", "health", "app"}:
        takes = any("xreadgroup" in commands for _, _, commands in selectors(users[name]))
        for group in (name, f"{name}-2"):
            assert may(users[name], "hset", f"in-hand:{group}") == takes, name
        erasable = [key for keys, _, commands in selectors(users[name]) if "xdel" in commands for key in keys]
        assert erasable == ([COMMAND_INBOX.name, f"{COMMAND_INBOX.name}.*"] if name == "gateway" else []), name


def test_an_application_may_command_and_listen_and_nothing_else(users):
    assert selectors(users["app"]) == [
        ([], [COMMAND_CHANNEL], ["publish"]),
        ([], [EVENT_CHANNEL], ["subscribe", "unsubscribe"]),
        ([f"{COMMAND_INBOX.name}.app"], [], ["xadd"]),
        (
            [EVENTS.name],
            [],
            ["xread", "xpending", "xrange", "xrevrange", "xlen", "xinfo|stream", "xinfo|groups", "xinfo|consumers"],
        ),
    ]
    assert users["health"].endswith("-@all +ping")


def test_every_command_the_bus_sends_is_in_the_lists():
    sent = {
        "|".join(filter(None, found)).lower()
        for path in (ROOT / "libs/tradebus/bus").glob("**/*.py")
        for found in re.findall(
            r'pack\(\s*"([A-Z]+)"(?:, "(CREATE|DESTROY|STREAM|GROUPS|CONSUMERS|SETNAME|[A-Z]+CONSUMER)")?',
            path.read_text(),
        )
    } - {"auth"}  # which nobody needs to be allowed
    text = USERS.read_text()
    allowed = set(re.findall(r"\+([a-z]+(?:\|[a-z]+)?)", text))
    assert len(sent) > 15
    assert sent <= allowed, sent - allowed


def test_making_secrets_again_changes_none_and_follows_a_new_password(tmp_path):
    folder = tmp_path / "secrets"
    first = made(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert made(folder) == first
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    passwords = [text.strip() for name, text in before.items() if name != "redis_users"]
    assert len(set(passwords)) == len(passwords) == 17
    assert all(re.fullmatch("[A-Za-z0-9]{48}", one) for one in passwords)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "redis_password_risk").chmod(0o600)
    (folder / "redis_password_risk").write_text("a password of my own\n")
    again = made(folder)
    assert again.keys() == first.keys()
    assert {name for name in first if first[name] != again[name]} == {"risk"}
    assert "#" + sha256(b"a password of my own").hexdigest() in again["risk"]
    assert (folder / "redis_password_risk").read_text() == "a password of my own\n"


def test_an_empty_secret_is_refused_by_name(tmp_path):
    (tmp_path / "api_token").touch()
    run = subprocess.run([MAKE_SECRETS, tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "api_token is empty" in run.stderr
