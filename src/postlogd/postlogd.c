/*
 * postlogd: writes log lines into maillog_file (or to standard output) for programs that
 * may not open it: set-group-ID commands, commands of users, postlog(1). Daemons append
 * by themselves and do not need it.
 *
 * Reads from strangers: datagrams that hold one line each, of any local user by way of
 * postlog(1); tag and pid in it are what the sender says. Runs as mail_owner; may be
 * jailed, as the file is opened before. If it died here, lines that wait in the socket
 * would be written by the next one. A flood costs the memory of the socket's queue; its
 * senders wait, and go to syslog after a second.
 */
#include "base/log.h"
#include "message/postlog.h"
#include "postlogd_params.h"
#include "service/service.h"

static struct postlogd_params params;

static void datagram(struct str payload)
{
	struct postlog_line line;
	if (postlog_read(payload, &line))
		log_foreign(
		    (enum log_level)line.level, line.tag, (long)line.pid, line.text);
	else
		log_warning("malformed datagram of %zu bytes", payload.len);
}

static const struct service postlogd_service = {
    .name = "postlogd",
    .params = postlogd_param_table,
    .values = &params,
    .daemon_timeout = &params.postlogd_watchdog_timeout,
    .sandbox = SANDBOX_QUEUE,
    .datagram = datagram,
    .datagram_max = POSTLOG_DATAGRAM_MAX,
};

int main(int argc, char **argv)
{
	return service_main(&postlogd_service, argc, argv);
}
