"""All defaults beside those of Debian's Postfix, with all that they refer to put in."""
import pytest

from reference import side_by_side

# What is what it is for a reason: Debian's build, 3.10 beside 3.11, this process.
DIFFERENT = {
    "alias_maps": "no NIS", "local_recipient_maps": "no NIS", "proxy_read_maps": "follows what others are; 3.11 adds to it",
    "html_directory": "Debian's", "readme_directory": "Debian's", "import_environment": "Debian's",
    "mail_release_date": "a version's", "mail_version": "a version's", "milter_macro_v": "a version's", "process_id": "a process's",
    "lmtp_tlsrpt_skip_reused_handshakes": "3.11", "smtp_tlsrpt_skip_reused_handshakes": "3.11", "milter_default_action": "3.11",
}


@pytest.fixture(scope="module")
def both():
    with side_by_side(network=False) as systems:
        for system in systems:
            system.write("main.cf", "")
        if not systems[0].version.startswith(("3.10", "3.11")):
            pytest.skip(f"the reference is Postfix {systems[0].version}, of other defaults")
        yield systems


def test_defaults_are_those_of_postfix(both):
    def defaults(system):
        lines = system.command("postconf", "-dx").stdout.splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    theirs, ours = (defaults(system) for system in both)
    shared = theirs.keys() & ours.keys()
    assert len(shared) > 900
    assert {name: (theirs[name], ours[name]) for name in shared if theirs[name] != ours[name] and name not in DIFFERENT} == {}
