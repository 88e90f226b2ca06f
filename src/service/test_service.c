/*
 * A daemon for tests of master and of the service frame. Run as test-stream it talks
 * lines, as test-inner it answers exchanges. Not installed.
 *
 * Lines: "pid", "name", "stress", "addresses" are answered; "log TEXT" logs; "exit N",
 * "crash", "spin" end the process. Message type 1 is answered by the pid. Parameters:
 * test_fail = yes dies at start; test_file = PATH retires when the file exists.
 */
#include <signal.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "service/service.h"

#define LINE_LIMIT       200
#define PATIENCE_SECONDS 60

enum { TEST_PID = 1 };

static void add_addresses(struct buf *out, const struct service_client *c)
{
	net_address_add_text(out, &c->peer);
	buf_printf(out, " %u ", net_address_port(&c->peer));
	net_address_add_text(out, &c->local);
	buf_printf(out, " %u", net_address_port(&c->local));
}

/* False: hang up. */
static bool obey(struct service_client *c, struct str line, struct buf *answer)
{
	int64_t status;
	if (str_is(line, "pid"))
		buf_add_i64(answer, getpid());
	else if (str_is(line, "name"))
		buf_add_cstr(answer, service_name());
	else if (str_is(line, "stress"))
		buf_add_cstr(answer, service_is_stress() ? "yes" : "no");
	else if (str_is(line, "draining"))
		buf_add_cstr(answer, service_draining() ? "yes" : "no");
	else if (str_is(line, "addresses"))
		add_addresses(answer, c);
	else if (str_starts(line, STR("log ")))
		log_info("%.*s", STR_ARG(str_skip(line, 4)));
	else if (str_starts(line, STR("exit ")) &&
	    str_to_range(str_skip(line, 5), 0, 255, &status))
		_exit((int)status);
	else if (str_is(line, "crash"))
		(void)raise(SIGKILL);
	else if (str_is(line, "spin"))
		for (volatile bool forever = true; forever;)
			continue;
	else
		return false;
	return true;
}

static void serve(struct service_client *c)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_LIMIT + 2);
	CLEANUP(buf_free) struct buf answer = BUF_INIT(1000);
	bool cut;
	for (;;) {
		stream_set_deadline(c->stream, deadline_after_seconds(PATIENCE_SECONDS));
		if (stream_read_line(c->stream, &line, LINE_LIMIT, &cut) <= 0 || cut)
			return;
		buf_clear(&answer);
		if (!obey(c, str_trim(buf_str(&line)), &answer) ||
		    stream_printf(c->stream, "%s\n", buf_cstr(&answer)) != 0 ||
		    stream_flush(c->stream) != 0)
			return;
	}
}

static void exchange(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	CLEANUP(buf_free) struct buf answer = BUF_INIT(20);
	/* Type 2 is answered when the client's END comes. */
	while (ipc_receive(
		   x, &type, &payload, deadline_after_seconds(PATIENCE_SECONDS)) == 0)
		if (type == TEST_PID)
			break;
	buf_add_i64(&answer, getpid());
	if (!ipc_cancelled(x) && ipc_reply(x, TEST_PID, buf_str(&answer)) != 0)
		log_debug("nobody waited");
}

static void wakeup(void)
{
	log_info("woken up");
}

static bool file_exists(struct buf *path)
{
	return conf_get(service_conf(), STR("test_file"), path) &&
	    access(buf_cstr(path), F_OK) == 0;
}

static bool existed; /* at the start */

static void before_jail(void)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	if (conf_get(service_conf(), STR("test_fail"), &text) &&
	    str_is(buf_str(&text), "yes"))
		fatal("told to fail");
	existed = file_exists(&path);
}

static bool stale(void)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	if (existed || !file_exists(&path))
		return false;
	log_info("%s has changed -- restarting", buf_cstr(&path));
	return true;
}

static void finished(void)
{
	log_info("finished");
}

static const struct service stream_service = {
    .name = "test-stream",
    .before_jail = before_jail,
    .serve = serve,
    .stale = stale,
    .finished = finished,
};

static const struct service inner_service = {
    .name = "test-inner",
    .before_jail = before_jail,
    .exchange = exchange,
    .wakeup = wakeup,
    .stale = stale,
    .finished = finished,
};

int main(int argc, char **argv)
{
	const struct service *s =
	    str_ends(str_of(argv[0]), STR("inner")) ? &inner_service : &stream_service;
	return service_main(s, argc, argv);
}
