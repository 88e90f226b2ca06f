"""Parameters of the SMTP and LMTP client: two settings of each, and the difference that they make."""
import time

import pytest

from client_farm import Farm, Row
from fake_dns import SERVFAIL
from fake_smtp import ehlo

SENT, DEFERRED, BOUNCED = "status=sent", "status=deferred", "status=bounced"
ALL = ehlo("PIPELINING", "SIZE 10000000", "8BITMIME", "DSN", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
NO_8BIT = ehlo("PIPELINING", "SIZE 10000000")
KEEP = "smtp_connection_cache_destinations={domain}"
PAINTED = {"greeting": "220 ****2***0*"}
MIME = (b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
        b"first line\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: y\r\n\r\n--b--\r\n")
EIGHT = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9t\xe9\r\n"


def later(seconds, reply):
    return lambda argument, connection: (time.sleep(seconds), reply)[1]


def addresses(*which):
    """More addresses of the domain; nobody listens at 127.9.9.*."""
    return lambda dns, domain, address, port: dns.address(domain, *which)


def exchangers(dns, domain, address, port):
    """The second answers."""
    dns.address(f"mx1.{domain}", "127.9.9.1")
    dns.address(f"mx2.{domain}", address)
    dns.mx(domain, (10, f"mx1.{domain}"), (20, f"mx2.{domain}"))


def no_exchanger(dns, domain, address, port):
    dns.mx(domain, (10, f"nowhere.{domain}"))


def service(dns, domain, address, port):
    dns.srv(f"_submission._tcp.{domain}", (10, 0, port, f"srv.{domain}"))
    dns.address(f"srv.{domain}", address)


def broken_service(dns, domain, address, port):
    dns.fails(f"_submission._tcp.{domain}", SERVFAIL)


def short_name(dns, domain, address, port):
    dns.address(f"{domain.split('.')[0]}.search.test", address)


def below_search(dns, domain, address, port):
    dns.address(f"{domain}.search.test", address)


ROWS = [
    # hosts
    Row("smtp_bind_address lmtp_bind_address", "127.0.0.77", "127.0.0.78", r"^from 127\.0\.0\.77$", r"^from 127\.0\.0\.78$"),
    Row("smtp_bind_address6 lmtp_bind_address6", "::5", "::1", "bind ::5: Cannot assign requested address[^$]*status=sent",
        r"\A(?![^$]*bind)[^$]*status=sent", bare=True, dns=addresses("::1"), host="::1"),
    Row("smtp_bind_address_enforce lmtp_bind_address_enforce", "yes", "no", r"dsn=4\.4\.0, status=deferred \(server configuration error\)",
        SENT, extra=["smtp_bind_address=192.0.2.1"]),
    Row("smtp_address_preference lmtp_address_preference", "ipv4", "ipv6", r"connect to \S+\[127\.\S+: [^$]*relay=\S+\[::1\]",
        r"\A(?![^$]*connect to)[^$]*relay=\S+\[::1\]", bare=True, dns=addresses("127.9.9.1", "::1"), host="::1"),
    Row("smtp_balance_inet_protocols lmtp_balance_inet_protocols", "yes", "no", r"relay=\S+\[::1\].*status=sent", r"connect to \S+\[127\.9\.9\.2\]",
        bare=True, dns=addresses("127.9.9.1", "127.9.9.2", "127.9.9.3", "::1"), host="::1",
        extra=["smtp_mx_address_limit=2", "smtp_address_preference=ipv4", "smtp_randomize_addresses=no"]),
    Row("smtp_dns_reply_filter lmtp_dns_reply_filter", "static:ignore", "", r"ignoring DNS RR: [^$]*dsn=4\.7\.0, status=deferred \(Error looking up "
        r"name=\S+ type=AAAA: DNS reply filter drops all results\)", SENT, nexthop="[{domain}]", dns=addresses("::9"), extra=["inet_protocols=ipv4, ipv6"]),
    Row("smtp_dns_resolver_options lmtp_dns_resolver_options", "res_defnames", "", SENT, BOUNCED, bare=True, dns=short_name, nexthop="[s{side}]"),
    Row("smtp_dns_resolver_options lmtp_dns_resolver_options", "res_dnsrch", "res_defnames", SENT, BOUNCED, bare=True, dns=below_search,
        nexthop="[{domain}]"),
    Row("smtp_dns_support_level lmtp_dns_support_level", "disabled", "enabled", r"unable to look up host \S+: ", SENT, nexthop="[{domain}]"),
    Row("disable_dns_lookups", "yes", "no", r"unable to look up host \S+: ", SENT),
    Row("smtp_mx_address_limit lmtp_mx_address_limit", "1", "5", DEFERRED, SENT, bare=True, host="::1", dns=addresses("127.9.9.1", "::1"),
        extra=["smtp_address_preference=ipv4"]),
    Row("smtp_defer_if_no_mx_address_found", "yes", "no", DEFERRED, BOUNCED, bare=True, dns=no_exchanger),
    Row("use_srv_lookup", "submission", "", SENT, DEFERRED + "|" + BOUNCED, nexthop="{domain}:submission", bare=True, dns=service),
    Row("allow_srv_lookup_fallback", "yes", "no", r"skipping SRV lookup for _\d+\._tcp[^$]*status=sent", BOUNCED, extra=["use_srv_lookup={port}, smtp",
        "smtp_tcp_port=smtp"], nexthop="{domain}:{port}"),
    Row("ignore_srv_lookup_error", "yes", "no", "skipping SRV lookup for _submission._tcp", r"type=SRV: Host not found, try again",
        extra=["use_srv_lookup=submission"], dns=broken_service, nexthop="{domain}:submission"),
    # the conversation
    Row("smtp_discard_ehlo_keyword_address_maps lmtp_discard_lhlo_keyword_address_maps", "static:size", "static:dsn",
        r"discarding EHLO keywords: SIZE[^$]*MAIL FROM:<s@a\.test>$", r"discarding EHLO keywords: DSN[^$]*MAIL FROM:<s@a\.test> SIZE=",
        script={"ehlo": ALL}),
    Row("smtp_always_send_ehlo", "yes", "no", "^EHLO ", "^HELO ", script={"greeting": "220 x"}),
    Row("smtp_pix_workarounds lmtp_pix_workarounds", "disable_esmtp", "delay_dotcrlf", "enabling PIX workarounds: disable_esmtp for ",
        "enabling PIX workarounds: delay_dotcrlf for ", script=PAINTED, extra=["smtp_pix_workaround_threshold_time=0", "smtp_pix_workaround_delay_time=1s"]),
    Row("smtp_pix_workaround_maps lmtp_pix_workaround_maps", "inline:{{address}=delay_dotcrlf}", "static:disable_esmtp",
        "enabling PIX workarounds: delay_dotcrlf for ", "enabling PIX workarounds: disable_esmtp for ", script=PAINTED,
        extra=["smtp_pix_workaround_threshold_time=0", "smtp_pix_workaround_delay_time=1s"]),
    Row("smtp_pix_workaround_threshold_time lmtp_pix_workaround_threshold_time", "0", "500s", "disable_esmtp delay_dotcrlf for",
        "disable_esmtp for", script=PAINTED, extra=["smtp_pix_workaround_delay_time=1s"]),
    Row("smtp_pix_workaround_delay_time lmtp_pix_workaround_delay_time", "1s", "2s", r"delays=\S+/1,|delays=\S+/1\.\d", r"delays=\S+/2,|delays=\S+/2\.\d",
        script=PAINTED, extra=["smtp_pix_workaround_threshold_time=0"]),
    Row("smtp_reply_filter lmtp_reply_filter", r"regexp:{{/^250 2\.1\.5 Ok/ 550 5.7.9 filtered}}", "", r"replacing server reply \"250 2\.1\.5 Ok\" with "
        r"\"550 5\.7\.9 filtered\"[^$]*dsn=5\.7\.9, status=bounced", SENT),
    Row("smtp_quote_rfc821_envelope lmtp_quote_rfc821_envelope", "yes", "no", r'^RCPT TO:<"x y"@', "^RCPT TO:<x y@", user='"x y"'),
    Row("smtp_send_xforward_command lmtp_send_xforward_command", "yes", "no", r"^XFORWARD ADDR=127\.0\.0\.1 PORT=\d+\nXFORWARD PROTO=ESMTP "
        r"HELO=c\.test IDENT=\S+ SOURCE=LOCAL\nMAIL", r"\A(?![^$]*\nXFORWARD)[^$]*status=sent", script={"ehlo": ALL, "xforward": "250 ok"}),
    Row("smtp_xforward_timeout lmtp_xforward_timeout", "1s", "60s", "timed out while sending XFORWARD", SENT, extra=["smtp_send_xforward_command=yes"],
        script={"ehlo": ALL, "xforward": later(1.8, "250 ok")}),
    Row("smtp_rset_timeout lmtp_rset_timeout", "1s", "60s", "timed out while sending RSET", r"\A(?![^$]*RSET.*RSET)[^$]*MAIL[^$]*RSET\nMAIL",
        extra=[KEEP], mails=2, script={"mail": "450 4.1.0 later", "rset": later(1.8, "250 ok"), "ehlo": ehlo("8BITMIME")}),
    Row("smtp_address_verify_target lmtp_address_verify_target", "data", "rcpt", r"status=deliverable \(354 ", r"status=deliverable \(250 2\.1\.5 ",
        probe=True),
    # connections that are kept
    Row("smtp_connection_cache_destinations lmtp_connection_cache_destinations", "{domain}", "other.test", "conn_use=2[^$]*connections: 1$",
        r"\A(?![^$]*conn_use)[^$]*connections: 2$", mails=2),
    Row("smtp_connection_cache_time_limit lmtp_connection_cache_time_limit", "1s", "20s", "connections: 2$", "connections: 1$", mails=2, gap=1.7,
        extra=[KEEP, "connection_cache_ttl_limit=20s"]),
    Row("connection_cache_ttl_limit", "1s", "20s", "connections: 2$", "connections: 1$", mails=2, gap=1.7,
        extra=[KEEP, "smtp_connection_cache_time_limit=20s"]),
    Row("smtp_connection_reuse_time_limit lmtp_connection_reuse_time_limit", "1s", "300s", "connections: 2$", "connections: 1$", mails=3, gap=1.2,
        extra=[KEEP]),
    Row("lmtp_connection_reuse_count_limit", "1", "0", "connections: 2$", "connections: 1$", mails=2, extra=[KEEP]),
    # the text
    Row("smtp_generic_maps lmtp_generic_maps", "inline:{s@a.test=g@b.test}", "", r"^MAIL FROM:<g@b\.test>[^$]*From: \"S\" <g@b\.test>$",
        r"^MAIL FROM:<s@a\.test>[^$]*From: \"S\" <s@a\.test>$", text=b'From: "S" <s@a.test>\r\n\r\nx\r\n'),
    Row("smtp_header_checks lmtp_header_checks", "static:IGNORE", "", r"DATA\n(?:QUIT\n)?MIME-Version", "^Subject: x", text=MIME),
    Row("smtp_mime_header_checks lmtp_mime_header_checks", "static:{REPLACE X-New: mime}", "", "header Content-Type: text/plain: X-New: mime[^$]*^X-New: mime",
        "^Content-Type: text/plain", text=MIME),
    Row("smtp_nested_header_checks lmtp_nested_header_checks", "static:{PREPEND X-New: nested}", "", "^X-New: nested\nX-Inner: y", "rfc822\n\nX-Inner: y", text=MIME),
    Row("smtp_body_checks lmtp_body_checks", "static:{WARN hm}", "", "warning: body first line: hm", r"\A(?![^$]*warning: body)[^$]*first line", text=MIME),
    Row("disable_mime_output_conversion", "yes", "no", "^Content-Transfer-Encoding: 8bit\n[^$]*\n\n\xe9t\xe9",
        "^Content-Transfer-Encoding: quoted-printable\n[^$]*\n=E9t=E9", text=EIGHT, script={"ehlo": NO_8BIT}, mail_options=["BODY=8BITMIME"]),
]
CASES = [case for row in ROWS for case in row.cases()]


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    made = Farm(str(tmp_path_factory.mktemp("f") / "i"), ROWS)
    yield made
    made.close()


@pytest.mark.parametrize("row, name", CASES, ids=[f"{name}-{number}" for number, (_, name) in enumerate(CASES)])
def test_parameters_of_clients(farm, row, name):
    farm.check(row, name)
