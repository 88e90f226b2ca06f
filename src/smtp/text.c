/* The text of a message on its way to a server. */
#include <errno.h>

#include "base/log.h"
#include "run/fiber.h"
#include "smtp/edit.h"
#include "smtp/flags.h"

#define FIELDS_MAX (10 * ADDRESS_MAX)

/* The end stands apart from the text, for firewalls that lose it otherwise
 * (delay_dotcrlf). */
static int pause_before_end(struct data_writer *w)
{
	int error = data_end_line(w);
	if (error == 0)
		error = stream_flush(w->stream);
	if (error == 0)
		fiber_sleep_ms(smtp.params.smtp_pix_workaround_delay_time * 1000);
	return error;
}

static int send_unchanged(struct delivery *d, struct str fields, struct data_writer *w)
{
	struct str line;
	bool whole;
	int more = 0, error = 0;
	while (error == 0 && str_next(&fields, "\n", &line))
		error = data_write_line(w, line, true);
	queue_file_content_start(&d->file, &d->envelope);
	while (
	    error == 0 && (more = queue_file_content_next(&d->file, &line, &whole)) == 1)
		error = data_write_line(w, line, whole);
	return error != 0 || more == 0 ? error : more;
}

int text_send(struct session *s, struct delivery *d)
{
	const struct smtp_params *p = &smtp.params;
	struct data_writer writer;
	CLEANUP(buf_free) struct buf fields = BUF_INIT(FIELDS_MAX);
	if (!flags_fields(d, &fields))
		return -EAGAIN;
	s->doing = "sending message body";
	stream_set_limit(s->stream, p->smtp_data_xfer_timeout * 1000,
	    p->smtp_per_request_deadline ? p->smtp_min_data_rate : STREAM_EACH_ANEW);
	data_writer_init(&writer, s->stream, (size_t)p->smtp_line_length_limit);
	int error = edit_is_needed(s, d) ? edit_send(s, d, buf_str(&fields), &writer)
					 : send_unchanged(d, buf_str(&fields), &writer);
	if (writer.broke)
		log_info("%.*s: breaking line > %d bytes with <CR><LF>SPACE",
		    STR_ARG(d->request.id), (int)p->smtp_line_length_limit);
	if (error == 0 && s->delay_dot)
		error = pause_before_end(&writer);
	return error != 0 ? error : data_write_end(&writer);
}
