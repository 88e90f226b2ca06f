/* A message goes on to others as a new one, so that each of them is delivered, retried
 * and bounced by itself. A Delivered-To field breaks loops. */
#include <string.h>

#include "base/clock.h"
#include "client/cleanup_copy.h"
#include "client/service_client.h"
#include "local/local.h"
#include "mail/received.h"

/* Our Received field, and below it who this was delivered to. */
static void add_trace_fields(
    struct buf *out, const struct local_recipient *r, const char *id)
{
	const struct common_params *common = service_common();
	received_write(out,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(id),
		.wall_seconds = clock_wall_seconds(),
		.uid = -1});
	buf_add_cstr(out, "\nDelivered-To: ");
	address_quote(out, r->address);
}

static int submit(const struct local_recipient *r, struct cleanup_recipient *list,
    size_t count, struct cleanup_message *m, struct cleanup_result *result)
{
	const struct delivery_request *request = &r->delivery->request;
	int64_t deadline = service_client_deadline(service_common());
	CLEANUP(buf_free) struct buf trace = BUF_INIT(4096);
	add_trace_fields(&trace, r, cleanup_message_id(m));
	struct timeval now = clock_wall();
	struct cleanup_attribute context = {
	    .name = STR("rewrite_context"), .value = STR("local")};
	struct cleanup_submit envelope = {
	    .flags = CLEANUP_MAP,
	    .sendopts = request->sendopts,
	    .arrival_seconds = now.tv_sec,
	    .arrival_microseconds = (uint32_t)now.tv_usec,
	    .sender = request->sender,
	    .envelope_id = request->envelope_id,
	    .ret = request->ret,
	    .received = buf_str(&trace),
	    .attributes = &context,
	    .attributes_count = 1,
	    .recipients = list,
	    .recipients_count = (uint32_t)count,
	};
	int error = cleanup_message_begin(m, &envelope, deadline);
	if (error == 0)
		error = cleanup_message_copy(
		    m, &r->delivery->file, &r->delivery->envelope, false, deadline);
	return error != 0 ? error : cleanup_message_finish(m, deadline, result);
}

bool forward_message(const struct local_recipient *r, struct cleanup_recipient *list,
    size_t count, struct buf *text, struct why *why)
{
	int error;
	struct cleanup_message *m = cleanup_message_new(
	    local.cleanup, service_client_deadline(service_common()), &error);
	if (m == NULL)
		return why_system(why, -error, "forward message");
	struct cleanup_result result;
	error = submit(r, list, count, m, &result);
	cleanup_message_free(m);
	if (error != 0)
		return why_system(why, -error, "forward message");
	if (result.status != CLEANUP_OK)
		return why_later(why, "4.3.0", "forward message: %s",
		    cleanup_status_text(result.status));
	buf_printf(text, "forwarded as %s", result.id);
	return true;
}
