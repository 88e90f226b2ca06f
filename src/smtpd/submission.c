#include "smtpd/submission.h"

#include <errno.h>

#include "base/clock.h"
#include "base/memory.h"
#include "client/postdrop_client.h"
#include "client/service_client.h"
#include "queue/record.h"
#include "service/command.h"
#include "smtpd/smtpd.h"

#define QUEUE_ID_WAIT_MS 30000
#define RECORDS_MAX      (16 * 1024 * 1024)

/* One of the two. */
struct submission {
	struct cleanup_message *cleanup;
	struct postdrop *postdrop;
	struct buf records; /* on their way to postdrop */
	struct buf line;    /* what is there of a line */
};

struct submission *submission_new(int *error_r)
{
	struct submission *m = memory_alloc(sizeof(*m));
	buf_init(&m->records, RECORDS_MAX);
	buf_init(&m->line, RECORD_DATA_MAX);
	*error_r = -EIO;
	if (service_stands_alone())
		m->postdrop = postdrop_start(program_command_directory(service_common()));
	else
		m->cleanup = cleanup_message_new(
		    smtpd.cleanup, deadline_after_ms(QUEUE_ID_WAIT_MS), error_r);
	if (m->cleanup != NULL)
		cleanup_message_shown(m->cleanup);
	if (m->cleanup != NULL || m->postdrop != NULL)
		return m;
	submission_free(m);
	return NULL;
}

void submission_free(struct submission *m)
{
	if (m == NULL)
		return;
	cleanup_message_free(m->cleanup);
	postdrop_free(m->postdrop);
	buf_free(&m->records);
	buf_free(&m->line);
	free(m);
}

const char *submission_id(const struct submission *m)
{
	return m->cleanup != NULL ? cleanup_message_id(m->cleanup)
				  : postdrop_queue_id(m->postdrop);
}

/* --- as records of a maildrop file --- */

static int send_records(struct submission *m, bool all)
{
	if (!buf_ok(&m->records))
		return -EMSGSIZE;
	postdrop_write(m->postdrop, &m->records, all);
	return 0;
}

static void add_recipient(struct submission *m, const struct cleanup_recipient *r)
{
	CLEANUP(buf_free) struct buf original = BUF_INIT(ADDRESS_MAX + 16);
	if (r->notify != 0)
		record_printf(
		    &m->records, RECORD_ATTRIBUTE, "notify_flags=%u", r->notify);
	/* Said at any rate: pickup would know no better what the client said. */
	buf_add_cstr(&original, r->dsn_orcpt.len > 0 ? "" : "rfc822;");
	buf_add_str(&original, r->dsn_orcpt.len > 0 ? r->dsn_orcpt : r->address);
	record_attribute(&m->records, "dsn_orig_rcpt", buf_str(&original));
	record_write(&m->records, RECORD_RECIPIENT, r->address);
}

static void end_line(struct submission *m, enum record_type type)
{
	record_write(&m->records, type, buf_str(&m->line));
	buf_clear(&m->line);
}

static int add_text(struct submission *m, struct str text)
{
	size_t limit = (size_t)service_common()->line_length_limit;
	if (limit > m->line.ceiling)
		limit = m->line.ceiling; /* a record holds no more */
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\n') {
			end_line(m, RECORD_LINE);
			continue;
		}
		if (m->line.len >= limit)
			end_line(m, RECORD_PART);
		buf_add_char(&m->line, text.p[i]);
	}
	return send_records(m, false);
}

static int begin_records(struct submission *m, const struct cleanup_submit *e)
{
	struct buf *out = &m->records;
	if (e->envelope_id.len > 0)
		record_attribute(out, "envelope_id", e->envelope_id);
	if (e->ret != 0)
		record_printf(out, RECORD_ATTRIBUTE, "ret_flags=%u", e->ret);
	record_write(out, RECORD_SENDER, e->sender);
	for (uint32_t i = 0; i < e->attributes_count; i++)
		if (str_is(e->attributes[i].name, "encoding"))
			record_attribute(out, "encoding", e->attributes[i].value);
	for (uint32_t i = 0; i < e->recipients_count; i++)
		add_recipient(m, &e->recipients[i]);
	record_write(out, RECORD_MESSAGE, STR_EMPTY);
	int error = add_text(m, e->received);
	if (m->line.len > 0)
		end_line(m, RECORD_LINE);
	return error;
}

static int finish_records(struct submission *m, struct cleanup_result *r)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(sizeof(r->reason) - 1);
	if (m->line.len > 0)
		end_line(m, RECORD_LINE);
	record_write(&m->records, RECORD_EXTRACTED, STR_EMPTY);
	record_write(&m->records, RECORD_END, STR_EMPTY);
	int error = send_records(m, true);
	if (error != 0)
		return error;
	if (!postdrop_finish(m->postdrop, &reason))
		return -EIO; /* postdrop logged why */
	*r = (struct cleanup_result){.status = CLEANUP_OK};
	(void)snprintf(r->id, sizeof(r->id), "%s", submission_id(m));
	return 0;
}

/* --- to whom it concerns --- */

int submission_begin(struct submission *m, struct cleanup_submit *envelope)
{
	return m->cleanup != NULL ? cleanup_message_begin(m->cleanup, envelope,
					service_client_deadline(service_common()))
				  : begin_records(m, envelope);
}

int submission_add(struct submission *m, struct str text)
{
	return m->cleanup != NULL ? cleanup_message_add(m->cleanup, text,
					service_client_deadline(service_common()))
				  : add_text(m, text);
}

int submission_late(struct submission *m, const struct cleanup_late *late)
{
	return m->cleanup != NULL ? cleanup_message_late(m->cleanup, late,
					service_client_deadline(service_common()))
				  : 0;
}

int submission_finish(struct submission *m, struct cleanup_result *r)
{
	return m->cleanup != NULL ? cleanup_message_finish(m->cleanup,
					service_client_deadline(service_common()), r)
				  : finish_records(m, r);
}
