/* What a refusal says. */
#include "smtpd/restriction.h"

enum verdict refuse(
    struct evaluation *e, int64_t code, const char *status, const char *format, ...)
{
	va_list args;
	e->refusal.code = (int)code;
	if (!str_to_cstr(str_of(status), e->refusal.status, sizeof(e->refusal.status)))
		e->refusal.status[0] = '\0';
	e->refusal.class = NOTICE_POLICY;
	buf_clear(&e->refusal.text);
	buf_clear(&e->malformed);
	va_start(args, format);
	buf_vprintf(&e->refusal.text, format, args);
	va_end(args);
	return VERDICT_REJECT;
}

void refuse_keep(struct refusal *kept, const struct refusal *now)
{
	kept->code = now->code;
	memcpy(kept->status, now->status, sizeof(kept->status));
	buf_clear(&kept->text);
	buf_add_str(&kept->text, buf_str(&now->text));
}

void refuse_if_permit(struct evaluation *e)
{
	if (e->defer_if_permit)
		return;
	e->defer_if_permit = true;
	refuse_keep(&e->deferred, &e->refusal);
}

void refuse_subject(
    const struct evaluation *e, enum restriction_needs about, struct buf *out)
{
	const struct session *s = e->session;
	switch (about) {
	case NEEDS_HELO:
		buf_printf(out, "<%.*s>: Helo command rejected: ", STR_ARG(s->helo));
		break;
	case NEEDS_SENDER:
		buf_printf(out,
		    "<%.*s>: Sender address rejected: ", STR_ARG(s->transaction->sender));
		break;
	case NEEDS_RECIPIENT:
		buf_printf(
		    out, "<%.*s>: Recipient address rejected: ", STR_ARG(*e->recipient));
		break;
	case NEEDS_ETRN:
		buf_printf(out, "<%.*s>: Etrn command rejected: ", STR_ARG(*e->etrn));
		break;
	case NEEDS_NOTHING:
		buf_printf(
		    out, "<%.*s>: Client host rejected: ", STR_ARG(s->client_text));
		break;
	}
}
