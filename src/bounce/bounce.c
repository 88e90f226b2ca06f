/*
 * bounce: keeps the delivery status of each message's recipients, and makes notices of
 * it. One program under three names (bounce, defer, trace), after which its log queues
 * are called.
 *
 * Reads from strangers: nothing directly; queue files and status logs hold their text and
 * are read strictly. Runs as mail_owner, may be jailed. If it died here, no mail would be
 * lost: a recipient is marked done only after its entry was synced, and a log is removed
 * only after its notice was committed; a second notice may be sent.
 */
#include "bounce/bounce.h"

#include "base/log.h"
#include "base/panic.h"
#include "client/service_client.h"
#include "queue/queue_dir.h"
#include "service/owner.h"

#define REQUEST_ARENA (16 * 1024 * 1024)

struct bounce_state bounce;

static bool handle_append(struct str payload, struct arena *a, struct why *why)
{
	struct bounce_append entries;
	return bounce_append_read(payload, a, &entries)
	    ? status_append(&entries, why)
	    : why_later(why, "4.3.0", "malformed append request");
}

static bool handle_send(struct str payload, struct arena *a, struct why *why)
{
	struct bounce_send request;
	return bounce_send_read(payload, a, &request)
	    ? notice_send(&request, why)
	    : why_later(why, "4.3.0", "malformed notice request");
}

static bool handle_one(struct str payload, struct arena *a, struct why *why)
{
	struct bounce_one request;
	return bounce_one_read(payload, a, &request)
	    ? notice_send_one(&request, why)
	    : why_later(why, "4.3.0", "malformed notice request");
}

static bool handle_forget(struct str payload, struct arena *a, struct why *why)
{
	struct bounce_forget request;
	return bounce_forget_read(payload, a, &request)
	    ? status_forget(request.id, why)
	    : why_later(why, "4.3.0", "malformed forget request");
}

static const struct {
	uint16_t type;
	bool (*handle)(struct str payload, struct arena *a, struct why *why);
} handlers[] = {
    {bounce_append_type, handle_append},
    {bounce_send_type, handle_send},
    {bounce_one_type, handle_one},
    {bounce_forget_type, handle_forget},
};

static bool dispatch(uint16_t type, struct str payload, struct arena *a, struct why *why)
{
	payload = arena_str(a, payload);
	for (size_t i = 0; payload.p != NULL && i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == type)
			return handlers[i].handle(payload, a, why);
	return why_later(why, "4.3.0", "unknown request");
}

static void answer(struct ipc_exchange *x, bool done, const struct why *why)
{
	CLEANUP(buf_free) struct buf reply = BUF_INIT(WHY_TEXT_MAX + 64);
	bounce_reply_write(
	    &reply, &(struct bounce_reply){.done = done, .reason = buf_str(&why->text)});
	if (ipc_reply(x, bounce_reply_type, buf_str(&reply)) != 0)
		log_debug("client did not wait for the answer");
}

static void exchange(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	if (ipc_receive(x, &type, &payload, service_client_deadline(service_common())) !=
	    0)
		return;
	struct arena *a = arena_new(REQUEST_ARENA);
	struct why why;
	why_init(&why);
	bool done = dispatch(type, payload, a, &why);
	if (!done)
		log_warning("%s", buf_cstr(&why.text));
	answer(x, done, &why);
	why_free(&why);
	arena_free(a);
}

static void tell(const char *text)
{
	log_warning("%s", text);
}

static void load_templates(void)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	if (!notice_templates_load(
		&bounce.templates, bounce.params.bounce_template_file, tell, &error))
		fatal("%s", buf_cstr(&error));
}

/* Names that cannot be expanded are found when a notice needs them: its mail waits. */
bool bounce_text(enum notice_template_kind kind, struct str *text_r, struct why *why)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	struct buf *text = &bounce.texts[kind];
	if (text->len == 0) {
		*text = BUF_INIT(NOTICE_TEMPLATE_FILE_MAX);
		if (!notice_template_expand(
			&bounce.templates.of[kind], service_conf(), tell, text, &error)) {
			buf_clear(text);
			return why_later(why, "4.3.0", "%s", buf_cstr(&error));
		}
	}
	*text_r = buf_str(text);
	return true;
}

static void started(void)
{
	const struct common_params *common = service_common();
	bounce.queue_owner = owner_of(common).uid;
	bounce.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name), 2);
}

static const struct service bounce_service = {
    .name = "bounce",
    .params = bounce_param_table,
    .values = &bounce.params,
    .sandbox = SANDBOX_QUEUE,
    .before_jail = load_templates,
    .started = started,
    .exchange = exchange,
};

int main(int argc, char **argv)
{
	return service_main(&bounce_service, argc, argv);
}
