/*
 * qmqpd: takes mail by QMQP from the hosts in qmqpd_authorized_clients. One fiber a
 * client, one message a connection.
 *
 * Reads from strangers: what an authorized client sends; nothing from others. Runs as
 * mail_owner, may be jailed. If it died here, messages under way would not be
 * acknowledged; their senders try again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "client/cleanup_client.h"
#include "client/service_client.h"
#include "dns/client_name.h"
#include "dns/lookup.h"
#include "mail/received.h"
#include "qmqpd/request.h"
#include "qmqpd_params.h"
#include "run/fiber.h"
#include "service/service.h"
#include "table/match_list.h"

#define ANSWER_MAX      4096
#define ARENA_MAX       (16 * 1024 * 1024) /* recipients, above all */
#define LARGEST_MESSAGE (64 * 1024 * 1024) /* without message_size_limit */
#define RECIPIENTS_MAX  50000
#define ATTRIBUTES_MAX  16

static struct {
	struct qmqpd_params params;
	struct match_list *clients;
	struct cleanup_client *cleanup;
	uint32_t receive_flags;
} qmqpd;

struct session {
	struct service_client *client;
	struct stream *stream;
	struct arena *arena;
	struct str name, address, port, text;
	struct cleanup_message *message;
	struct timeval arrival;
};

/* --- the client --- */

static void identify(struct session *s)
{
	struct net_address *peer = &s->client->peer;
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
	net_address_unmap(peer);
	net_address_add_text(&text, peer);
	s->address = arena_str(s->arena, buf_str(&text));
	s->name = client_name_find(peer, s->arena).name;
	s->port = str_of(arena_printf(s->arena, "%u", net_address_port(peer)));
	bool port = qmqpd.params.qmqpd_client_port_logging;
	s->text = str_of(arena_printf(s->arena, "%.*s[%.*s]%s%.*s", STR_ARG(s->name),
	    STR_ARG(s->address), port ? ":" : "", port ? (int)s->port.len : 0,
	    s->port.p));
}

/* The answer is one netstring that begins with K (taken), Z (later) or D (never). */
static void answer(struct session *s, char kind, const char *text)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(ANSWER_MAX);
	buf_add_char(&line, kind);
	buf_add_cstr(&line, text);
	if (kind != 'K' && qmqpd.params.qmqpd_error_delay > 0)
		fiber_sleep_ms(qmqpd.params.qmqpd_error_delay * 1000);
	if (stream_printf(s->stream, "%zu:%s,", line.len, buf_cstr(&line)) != 0 ||
	    stream_flush(s->stream) != 0)
		log_debug("the client did not take its answer");
}

static bool is_authorized(struct session *s)
{
	enum table_result found =
	    match_list_host(qmqpd.clients, s->name, &s->client->peer);
	if (found == TABLE_FOUND)
		return true;
	/* A table that does not answer refuses nobody for good. */
	answer(s, found == TABLE_ABSENT ? 'D' : 'Z',
	    arena_printf(s->arena, "Error: %.*s is not authorized to use this service",
		STR_ARG(s->text)));
	return false;
}

/* --- its request --- */

static ssize_t peek(void *context, const char **bytes_r)
{
	return stream_peek(context, 1, bytes_r);
}

static void skip(void *context, size_t count)
{
	stream_skip(context, count);
}

static bool receive(struct session *s, struct request *r)
{
	const struct netstring_source source = {peek, skip, s->stream};
	int64_t limit = service_common()->message_size_limit;
	const struct request_limits limits = {
	    .message = limit > 0 ? limit : LARGEST_MESSAGE,
	    .address = ADDRESS_MAX,
	    .recipients = RECIPIENTS_MAX};
	const char *part;
	request_init(r, s->arena, limits.message);
	enum netstring_result result = request_read(r, &source, &limits, &part);
	if (result == NETSTRING_OK)
		return true;
	const char *text = arena_printf(
	    s->arena, "%s while receiving %s", netstring_result_text(result), part);
	log_info("%s: %.*s: %s", cleanup_message_id(s->message), STR_ARG(s->text), text);
	if (result == NETSTRING_MALFORMED || result == NETSTRING_TOO_LONG)
		answer(s, 'D', text);
	return false;
}

static uint32_t make_attributes(struct session *s, struct cleanup_attribute *list)
{
	const char *family =
	    net_address_family(&s->client->peer) == AF_INET6 ? "10" : "2";
	const struct cleanup_attribute all[] = {
	    {STR("log_client_name"), s->name},
	    {STR("log_client_address"), s->address},
	    {STR("log_client_port"), s->port},
	    {STR("log_message_origin"), s->text},
	    {STR("log_protocol_name"), STR("QMQP")},
	    {STR("client_name"), s->name},
	    {STR("client_address"), s->address},
	    {STR("client_port"), s->port},
	    {STR("client_address_type"), str_of(family)},
	    {STR("protocol_name"), STR("QMQP")},
	};
	memcpy(list, all, sizeof(all));
	return ARRAY_SIZE(all);
}

static void add_received(
    const struct session *s, const struct request *r, struct buf *out)
{
	received_write(out,
	    &(struct received){.helo = s->name,
		.client_name = s->name,
		.client_address = s->address,
		.myhostname = str_of(service_common()->myhostname),
		.mail_name = str_of(service_common()->mail_name),
		.protocol = STR("QMQP"),
		.queue_id = str_of(cleanup_message_id(s->message)),
		.recipient = r->count == 1 ? r->recipients[0].address : STR_EMPTY,
		.wall_seconds = s->arrival.tv_sec,
		.uid = -1});
}

static int submit(
    struct session *s, const struct request *r, struct cleanup_result *result)
{
	CLEANUP(buf_free) struct buf received = BUF_INIT(4096);
	struct cleanup_attribute attributes[ATTRIBUTES_MAX];
	add_received(s, r, &received);
	struct cleanup_submit envelope = {
	    .flags = qmqpd.receive_flags | CLEANUP_COMPLETE |
		cleanup_detect_utf8(
		    service_common()->smtputf8_autodetect_classes, "qmqpd"),
	    .arrival_seconds = s->arrival.tv_sec,
	    .arrival_microseconds = (uint32_t)s->arrival.tv_usec,
	    .sender = r->sender,
	    .filter = str_of(qmqpd.params.content_filter),
	    .verp = r->verp,
	    .client = s->text,
	    .protocol = STR("QMQP"),
	    .attributes = attributes,
	    .attributes_count = make_attributes(s, attributes),
	    .recipients = r->recipients,
	    .recipients_count = r->count,
	    .received = buf_str(&received),
	};
	int64_t deadline = service_client_deadline(service_common());
	int error = cleanup_message_begin(s->message, &envelope, deadline);
	if (error == 0)
		error = cleanup_message_add(s->message, buf_str(&r->content), deadline);
	return error != 0 ? error : cleanup_message_finish(s->message, deadline, result);
}

static void report(struct session *s, int error, const struct cleanup_result *result)
{
	struct cleanup_reply reply = {
	    .code = 451, .text = cleanup_status_text(CLEANUP_WRITE_ERROR)};
	if (error == 0)
		reply = cleanup_result_reply(result);
	if (error == 0 && result->status == CLEANUP_OK) {
		answer(s, 'K', arena_printf(s->arena, "Ok: queued as %s", result->id));
		return;
	}
	/* A reason of cleanup's own has an enhanced status in front. */
	const char *text = error == 0 && result->reason[0] != '\0'
	    ? arena_printf(s->arena, "Error: %s", result->reason)
	    : reply.text;
	log_warning(
	    "%s: %.*s: %s", cleanup_message_id(s->message), STR_ARG(s->text), text);
	answer(s, reply.code < 500 ? 'Z' : 'D', text);
}

static void take_message(struct session *s)
{
	struct cleanup_result result;
	struct request r;
	int error = 0;
	s->message = cleanup_message_new(
	    qmqpd.cleanup, service_client_deadline(service_common()), &error);
	if (s->message == NULL) {
		log_warning("cannot get a queue id: %s", strerror(-error));
		answer(s, 'Z', cleanup_status_text(CLEANUP_WRITE_ERROR));
		return;
	}
	cleanup_message_shown(s->message);
	log_info("%s: client=%.*s", cleanup_message_id(s->message), STR_ARG(s->text));
	if (receive(s, &r)) {
		request_find_verp(&r, qmqpd.params.verp_delimiter_filter);
		error = submit(s, &r, &result);
		report(s, error, &result);
	}
	request_free(&r);
	cleanup_message_free(s->message);
}

static void serve(struct service_client *client)
{
	struct session s = {.client = client,
	    .stream = client->stream,
	    .arena = arena_new(ARENA_MAX),
	    .arrival = clock_wall()};
	stream_set_limit(s.stream, qmqpd.params.qmqpd_timeout * 1000, STREAM_EACH_ANEW);
	identify(&s);
	log_info("connect from %.*s", STR_ARG(s.text));
	if (is_authorized(&s))
		take_message(&s);
	log_info("disconnect from %.*s", STR_ARG(s.text));
	arena_free(s.arena);
}

static void before_jail(void)
{
	qmqpd.clients = match_list_open("qmqpd_authorized_clients",
	    qmqpd.params.qmqpd_authorized_clients, MATCH_HOSTS, 0);
	qmqpd.receive_flags =
	    cleanup_receive_flags(qmqpd.params.receive_override_options);
	if (dns_open(NULL) != 0)
		log_warning("cannot read the resolver's configuration");
}

static void started(void)
{
	const struct common_params *common = service_common();
	qmqpd.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name), 1);
}

static bool stale(void)
{
	return match_list_changed(qmqpd.clients);
}

static const struct service qmqpd_service = {
    .name = "qmqpd",
    .params = qmqpd_param_table,
    .values = &qmqpd.params,
    .sandbox = SANDBOX_NET,
    .before_jail = before_jail,
    .started = started,
    .serve = serve,
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&qmqpd_service, argc, argv);
}
