#include "client/own_mail.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/service_client.h"
#include "mail/received.h"
#include "queue/queue_file.h"

static void fill(struct cleanup_submit *e, const struct own_mail *mail)
{
	struct timeval now = clock_wall();
	e->flags = CLEANUP_MAP | CLEANUP_COMPLETE | (mail->filter ? CLEANUP_FILTER : 0) |
	    (mail->trace_flags & QUEUE_TRACE_VERIFY ? CLEANUP_PROBE : 0);
	e->arrival_seconds = now.tv_sec;
	e->arrival_microseconds = (uint32_t)now.tv_usec;
	e->sender = mail->sender;
}

static int submit(struct cleanup_message *m, struct cleanup_submit *envelope,
    struct str text, int64_t deadline)
{
	struct cleanup_result result;
	CLEANUP(buf_free) struct buf date = BUF_INIT(64);
	buf_add_cstr(&date, "Date: ");
	clock_add_rfc5322(&date, envelope->arrival_seconds);
	buf_add_char(&date, '\n');
	int error = cleanup_message_begin(m, envelope, deadline);
	if (error == 0)
		error = cleanup_message_add(m, buf_str(&date), deadline);
	if (error == 0)
		error = cleanup_message_add(m, text, deadline);
	if (error == 0)
		error = cleanup_message_finish(m, deadline, &result);
	if (error == 0 && result.status != CLEANUP_OK) {
		log_warning("%s: cleanup refused mail of our own: %s",
		    cleanup_message_id(m), cleanup_status_text(result.status));
		error = -EIO;
	}
	return error;
}

int own_mail_send(struct cleanup_client *c, const struct common_params *common,
    const struct own_mail *mail, char id_r[64])
{
	int error;
	int64_t deadline = service_client_deadline(common);
	struct cleanup_message *m = cleanup_message_new(c, deadline, &error);
	if (m == NULL)
		return error;
	CLEANUP(buf_free) struct buf received = BUF_INIT(4096);
	received_write(&received,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(cleanup_message_id(m)),
		.wall_seconds = clock_wall_seconds(),
		.uid = -1});
	char trace[16];
	(void)snprintf(trace, sizeof(trace), "%u", mail->trace_flags);
	struct cleanup_attribute attributes[] = {
	    {.name = STR("log_message_origin"), .value = STR("local")},
	    {.name = STR("trace_flags"), .value = str_of(trace)},
	};
	struct cleanup_recipient recipient = {
	    .address = mail->recipient, .notify = mail->notify};
	struct cleanup_submit envelope = {
	    .received = buf_str(&received),
	    .attributes = attributes,
	    .attributes_count = mail->trace_flags != 0 ? 2 : 1,
	    .recipients = &recipient,
	    .recipients_count = 1,
	};
	fill(&envelope, mail);
	error = submit(m, &envelope, mail->text, deadline);
	if (error == 0)
		(void)snprintf(id_r, 64, "%s", cleanup_message_id(m));
	cleanup_message_free(m);
	return error;
}
