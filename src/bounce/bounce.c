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
#include "service/owner.h"

struct bounce_state bounce;

static bool answer(struct service_call *call, bool done, struct why *why)
{
	if (!done)
		log_warning("%s", buf_cstr(&why->text));
	bounce_reply_write(call->reply,
	    &(struct bounce_reply){.done = done, .reason = buf_str(&why->text)});
	why_free(why);
	return true;
}

static bool serve_append(struct service_call *call)
{
	struct bounce_append request;
	struct why why;
	if (!bounce_append_read(call->payload, call->arena, &request))
		return false;
	why_init(&why);
	return answer(call, status_append(&request, &why), &why);
}

static bool serve_send(struct service_call *call)
{
	struct bounce_send request;
	struct why why;
	if (!bounce_send_read(call->payload, call->arena, &request))
		return false;
	why_init(&why);
	return answer(call, notice_send(&request, &why), &why);
}

static bool serve_one(struct service_call *call)
{
	struct bounce_one request;
	struct why why;
	if (!bounce_one_read(call->payload, call->arena, &request))
		return false;
	why_init(&why);
	return answer(call, notice_send_one(&request, &why), &why);
}

static const struct service_request requests[] = {
    {bounce_append_type, bounce_reply_type, serve_append},
    {bounce_send_type, bounce_reply_type, serve_send},
    {bounce_one_type, bounce_reply_type, serve_one},
    {0},
};

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
    .requests = requests,
};

int main(int argc, char **argv)
{
	return service_main(&bounce_service, argc, argv);
}
