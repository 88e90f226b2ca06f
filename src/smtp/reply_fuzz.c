/*
 * Any bytes as a server's side of a whole transaction: replies to MAIL, RCPT, DATA and,
 * for LMTP, one for each recipient after the dot. Everybody must have one outcome, and
 * nobody counts as delivered without a reply that says so.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/panic.h"
#include "net/listen.h"
#include "run/loop.h"
#include "smtp/flags.h"
#include "smtp/generic.h"
#include "smtp/smtp.h"
#include "smtp/source.h"
#include "smtp_wire/capability.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECIPIENTS_MAX 20
#define REPLIES_MAX    60000 /* what a socket takes at once */

enum switches {
	IS_LMTP = 1,
	PIPELINES = 2,
	IS_PROBE = 4,
	PROBES_DATA = 8,
	KNOWS_DSN = 16
};

struct smtp_state smtp;

static const struct dialect dialects[2] = {
    {.name = "smtp"}, {.name = "lmtp", .local_store = true, .reply_each = true}};
static struct common_params common = {.myhostname = "mx.lab.test"};
static struct str replies;
static unsigned switches, count;

/* --- what a transaction asks of others --- */

const struct common_params *service_common(void)
{
	return &common;
}

bool flags_final(void)
{
	return false;
}

bool generic_is_set(void)
{
	return false;
}

bool generic_map(struct str address, UNUSED struct arena *a, struct str *mapped_r)
{
	*mapped_r = address;
	return true;
}

bool greeting_exchange(
    UNUSED struct session *s, UNUSED const struct delivery *d, UNUSED struct why *why)
{
	return false;
}

bool session_keep(UNUSED struct session *s)
{
	return false;
}

bool source_choose(UNUSED const struct net_address *to,
    UNUSED const struct net_address **source_r, UNUSED struct why *why)
{
	return false;
}

int text_send(struct session *s, UNUSED struct delivery *d)
{
	return stream_write_str(s->stream, STR("text\r\n.\r\n"));
}

void delivery_sent(struct delivery *d, size_t index, UNUSED struct str relay,
    UNUSED unsigned reused, UNUSED const char *status, struct str text)
{
	ENSURE(d->recipients[index].result == DELIVERY_PENDING);
	ENSURE(text.len >= 3);
	d->recipients[index].result = DELIVERY_SENT;
}

void delivery_failed(
    struct delivery *d, size_t index, UNUSED struct str relay, const struct why *why)
{
	ENSURE(d->recipients[index].result == DELIVERY_PENDING);
	ENSURE(why_is_set(why));
	d->recipients[index].result =
	    why_is_later(why) ? DELIVERY_DEFERRED : DELIVERY_BOUNCED;
}

void delivery_failed_rest(struct delivery *d, struct str relay, const struct why *why)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_PENDING)
			delivery_failed(d, i, relay, why);
}

/* --- one transaction --- */

static struct session *open_session(int fd)
{
	struct session *s = memory_alloc(sizeof(*s));
	struct host host = {.name = STR("store.test")};
	s->stream = stream_new(fd);
	s->born = clock_ms();
	s->capabilities = (switches & PIPELINES ? CAPABILITY_PIPELINING : 0) |
	    (switches & KNOWS_DSN ? CAPABILITY_DSN : 0);
	list_init(&s->link);
	ENSURE(net_address_parse(STR("127.0.0.1"), 24, &host.address));
	session_identify(s, &host, STR("store.test"));
	return s;
}

static void prepare(struct delivery *d, struct delivery_rcpt *recipients,
    struct delivery_recipient *requests)
{
	*d = (struct delivery){.arena = arena_new(100000),
	    .recipients = recipients,
	    .count = count,
	    .request = {.id = STR("ID"),
		.sender = STR("s@a.test"),
		.encoding = STR("7bit"),
		.flags = switches & IS_PROBE ? DELIVERY_VERIFY : 0}};
	for (size_t i = 0; i < count; i++) {
		requests[i] = (struct delivery_recipient){.address = STR("r@store.test")};
		recipients[i] = (struct delivery_rcpt){.request = &requests[i]};
	}
}

/* Lines that may be the end of a reply that welcomes. */
static size_t count_welcome(void)
{
	struct str rest = replies, line;
	size_t welcome = 0;
	while (str_next(&rest, "\n", &line))
		welcome += line.p[0] == '2' || line.p[0] == '3';
	return welcome;
}

static void check(const struct delivery *d)
{
	size_t sent = 0;
	for (size_t i = 0; i < d->count; i++) {
		ENSURE(d->recipients[i].result != DELIVERY_PENDING);
		sent += d->recipients[i].result == DELIVERY_SENT;
	}
	if (switches & IS_PROBE) /* RCPT for each, and MAIL; perhaps DATA */
		ENSURE(sent == 0 || sent < count_welcome());
	else if (switches & IS_LMTP) /* that, and DATA, and one more for each */
		ENSURE(sent == 0 || sent * 2 + 2 <= count_welcome());
	else
		ENSURE(sent == 0 || sent + 3 <= count_welcome());
}

static void transact(void *argument)
{
	int *fds = argument;
	struct delivery d;
	struct delivery_rcpt recipients[RECIPIENTS_MAX];
	struct delivery_recipient requests[RECIPIENTS_MAX];
	struct why why;
	struct session *s = open_session(fds[1]);
	prepare(&d, recipients, requests);
	why_init(&why);
	message_send(s, &d, &why);
	check(&d);
	session_close(s, false);
	why_free(&why);
	arena_free(d.arena);
}

static void begin(void)
{
	static bool begun;
	if (begun)
		return;
	begun = true;
	run_init();
	smtp.params.smtp_reply_filter = "";
	session_before_jail();
}

static void set_parameters(void)
{
	smtp.dialect = &dialects[(switches & IS_LMTP) != 0];
	smtp.params = (struct smtp_params){.smtp_mail_timeout = 10,
	    .smtp_rcpt_timeout = 10,
	    .smtp_data_init_timeout = 10,
	    .smtp_data_done_timeout = 10,
	    .smtp_rset_timeout = 10,
	    .smtp_quit_timeout = 10,
	    .smtp_skip_quit_response = true,
	    .smtp_address_verify_target = switches & PROBES_DATA ? "data" : "rcpt"};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds[2];
	if (size < 2)
		return 0;
	begin();
	switches = data[0];
	count = 1 + data[1] % RECIPIENTS_MAX;
	replies =
	    str_slice((struct str){(const char *)data + 2, size - 2}, 0, REPLIES_MAX);
	set_parameters();
	if (net_pair(fds) != 0)
		return 0;
	if (replies.len == 0 ||
	    send(fds[0], replies.p, replies.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
		(void)shutdown(fds[0], SHUT_WR);
		run_main(transact, fds);
	} else {
		(void)close(fds[1]);
	}
	(void)close(fds[0]);
	return 0;
}
