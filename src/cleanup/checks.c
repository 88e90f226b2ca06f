#include "cleanup/checks.h"

#include "base/log.h"
#include "cleanup/mapping.h"
#include "mail/log_lines.h"

#define REJECT_TEXT "message content rejected"

struct content_checks *checks_open(void)
{
	const struct cleanup_params *p = &cleanup.params;
	struct content_checks *checks =
	    content_checks_open(&(struct content_checks_options){
		.header = {"header_checks", p->header_checks},
		.mime = {"mime_header_checks", p->mime_header_checks},
		.nested = {"nested_header_checks", p->nested_header_checks},
		.body = {"body_checks", p->body_checks},
		.allowed = CONTENT_ALL,
	    });
	if (!content_checks_empty(checks))
		return checks;
	content_checks_close(checks);
	return NULL;
}

/* What a log line says of the message beside the finding itself. */
static struct log_content about(const struct message *m)
{
	const struct cleanup_submit *e = &m->envelope;
	return (struct log_content){
	    .queue_id = str_of(m->id),
	    .client = e->client.len > 0 ? e->client : STR("local"),
	    .sender = m->sender,
	    .recipient = m->last_recipient,
	    .protocol = e->protocol,
	    .helo = e->helo,
	};
}

static void log_action(const struct message *m, const char *word, const char *what,
    struct str excerpt, struct str text)
{
	struct log_content line = about(m);
	line.action = word;
	line.what = what;
	line.excerpt = excerpt;
	line.text = text;
	log_content(&line);
}

void checks_reject(
    struct message *m, const char *what, struct str excerpt, struct str text)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(CLEANUP_REASON_MAX);
	if (dsn_status_at(text) == 0)
		buf_add_cstr(&reason, "5.7.1 ");
	buf_add_str(&reason,
	    text.len > 0 ? str_slice(text, 0, CLEANUP_REASON_MAX - 8) : STR(REJECT_TEXT));
	log_action(m, "reject", what, excerpt, buf_str(&reason));
	message_refuse(m, CLEANUP_CONTENT, buf_cstr(&reason));
}

/* The rest is read as if nothing had been: other findings are logged, too. */
void checks_mime(struct message *m, enum mime_trouble trouble, struct str excerpt)
{
	if (m->unchecked || m->mime_refusal != NULL || m->status != CLEANUP_OK ||
	    (m->envelope.flags & CLEANUP_FILTER) == 0)
		return;
	CLEANUP(buf_free) struct buf what = BUF_INIT(256);
	buf_printf(&what, "mime-error %s:", mime_trouble_text(trouble));
	struct log_content line = about(m);
	line.action = "reject";
	line.what = buf_cstr(&what);
	line.excerpt = str_slice(excerpt, 0, 100);
	line.protocol = line.helo = STR_EMPTY;
	log_content(&line);
	m->mime_refusal = arena_printf(
	    m->arena, "%s %s", mime_trouble_status(trouble), mime_trouble_text(trouble));
	if (m->mime_refusal == NULL)
		message_fail(m, CLEANUP_TABLE, "");
}

/* --- actions --- */

struct finding {
	struct message *message;
	const char *what; /* "header", "body" */
	struct str text;  /* that was found */
	struct content_action action;
	struct buf *replacement;
};

static void log_finding(const struct finding *f)
{
	log_action(f->message, content_action_word(f->action.kind), f->what, f->text,
	    f->action.text);
}

static enum check_result keep(UNUSED struct finding *f)
{
	return CHECK_KEEP;
}

static enum check_result ignore(UNUSED struct finding *f)
{
	return CHECK_DROP;
}

static enum check_result note(struct finding *f)
{
	log_finding(f);
	return CHECK_KEEP;
}

static enum check_result strip(struct finding *f)
{
	log_finding(f);
	return CHECK_DROP;
}

static enum check_result reject(struct finding *f)
{
	checks_reject(f->message, f->what, f->text, f->action.text);
	return CHECK_KEEP;
}

static enum check_result discard(struct finding *f)
{
	log_finding(f);
	f->message->envelope.flags |= CLEANUP_DISCARD;
	f->message->unchecked = true;
	return CHECK_KEEP;
}

static enum check_result hold(struct finding *f)
{
	if ((f->message->envelope.flags & CLEANUP_HOLD) == 0)
		log_finding(f);
	f->message->envelope.flags |= CLEANUP_HOLD;
	return CHECK_KEEP;
}

static enum check_result pass(struct finding *f)
{
	log_finding(f);
	f->message->unchecked = true;
	return CHECK_KEEP;
}

static enum check_result keep_text(struct finding *f, struct str *place)
{
	struct str kept = arena_str(f->message->arena, f->action.text);
	log_finding(f);
	if (kept.p == NULL)
		message_fail(f->message, CLEANUP_TABLE, "");
	else
		*place = kept;
	return CHECK_KEEP;
}

/* A redirected message does not pass the filter. */
static enum check_result filter(struct finding *f)
{
	return f->message->redirect.len > 0 ? CHECK_KEEP
					    : keep_text(f, &f->message->filter);
}

static enum check_result redirect(struct finding *f)
{
	return keep_text(f, &f->message->redirect);
}

static enum check_result copy(struct finding *f)
{
	log_finding(f);
	bcc_add(f->message, f->action.text);
	return CHECK_KEEP;
}

static enum check_result prepend(struct finding *f)
{
	log_finding(f);
	content_write_lines(f->message, f->action.text);
	return CHECK_KEEP;
}

static enum check_result replace(struct finding *f)
{
	log_finding(f);
	buf_add_str(f->replacement, f->action.text);
	return CHECK_REPLACE;
}

static enum check_result act(struct finding *f)
{
	static enum check_result (*const actions[])(struct finding *) = {
	    [CONTENT_DUNNO] = keep,
	    [CONTENT_OK] = keep,
	    [CONTENT_BCC] = copy,
	    [CONTENT_DISCARD] = discard,
	    [CONTENT_FILTER] = filter,
	    [CONTENT_HOLD] = hold,
	    [CONTENT_IGNORE] = ignore,
	    [CONTENT_INFO] = note,
	    [CONTENT_PASS] = pass,
	    [CONTENT_PREPEND] = prepend,
	    [CONTENT_REDIRECT] = redirect,
	    [CONTENT_REJECT] = reject,
	    [CONTENT_REPLACE] = replace,
	    [CONTENT_STRIP] = strip,
	    [CONTENT_WARN] = note,
	};
	return actions[f->action.kind](f);
}

static bool wanted(const struct message *m)
{
	return cleanup.checks != NULL && !m->unchecked && m->status == CLEANUP_OK &&
	    (m->envelope.flags & CLEANUP_FILTER) != 0;
}

enum check_result checks_header(struct message *m, enum mime_class field_class,
    struct str field, struct buf *replacement)
{
	if (!wanted(m))
		return CHECK_KEEP;
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct finding f = {
	    .message = m, .what = "header", .text = field, .replacement = replacement};
	if (content_checks_header(cleanup.checks, field_class, field, &value, &f.action))
		return act(&f);
	lookup_trouble(m, content_checks_title(cleanup.checks, field_class));
	return CHECK_DROP;
}

/* A line is looked at up to its first NUL. */
static struct str before_nul(struct str line)
{
	ptrdiff_t nul = str_find(line, '\0');
	return nul < 0 ? line : str_slice(line, 0, (size_t)nul);
}

enum check_result checks_body(
    struct message *m, const struct mime_text *text, struct buf *replacement)
{
	int64_t limit = cleanup.params.body_checks_size_limit;
	if (!wanted(m) || text->line.len == 0 || (limit > 0 && text->offset >= limit))
		return CHECK_KEEP;
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct finding f = {.message = m,
	    .what = "body",
	    .text = before_nul(text->line),
	    .replacement = replacement};
	if (content_checks_body(cleanup.checks, f.text, &value, &f.action))
		return act(&f);
	lookup_trouble(m, content_checks_body_title(cleanup.checks));
	return CHECK_DROP;
}
