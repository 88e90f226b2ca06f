#include "bounce/notice.h"

#include "base/clock.h"
#include "mail/fold.h"

#define FOLD_WIDTH 79

/* What differs between the kinds, besides the template. */
static const struct kind_row {
	enum notice_template_kind template;
	const char *title, *postmaster_title, *part;
} kinds[] = {
    [NOTICE_FAILURE] = {NOTICE_TEMPLATE_FAILURE, "sender non-delivery notification",
	"postmaster non-delivery notification", "Undelivered Message"},
    [NOTICE_DELAY] = {NOTICE_TEMPLATE_DELAY, "sender delay notification",
	"postmaster delay notification", "Undelivered Message"},
    [NOTICE_TRACE] = {NOTICE_TEMPLATE_VERIFY, "sender delivery status notification",
	"postmaster delivery status notification", "Message"},
    [NOTICE_SUCCESS] = {NOTICE_TEMPLATE_SUCCESS, "sender delivery status notification",
	"postmaster delivery status notification", "Message"},
};

static const struct kind_row *row(const struct notice *n)
{
	return &kinds[n->kind];
}

enum notice_template_kind notice_template_of(const struct notice *n)
{
	return row(n)->template;
}

const char *notice_title(const struct notice *n)
{
	return n->to_postmaster ? row(n)->postmaster_title : row(n)->title;
}

/* RFC 3461 4.1: which outcomes the sender asked to hear of. The postmaster hears all. */
static bool is_wanted(const struct notice *n, const struct bounce_entry *e)
{
	static const uint32_t wanted[] = {
	    [NOTICE_FAILURE] = DSN_NOTIFY_FAILURE,
	    [NOTICE_DELAY] = DSN_NOTIFY_DELAY,
	    [NOTICE_TRACE] = UINT32_MAX,
	    [NOTICE_SUCCESS] = UINT32_MAX,
	};
	if (n->only.len > 0 && !str_equal(n->only, e->recipient))
		return false;
	return n->to_postmaster || e->notify == 0 || (e->notify & wanted[n->kind]) != 0;
}

static void add_folded(struct buf *out, struct str text)
{
	fold_words(text, FOLD_WIDTH, "\n    ", out);
	buf_add_char(out, '\n');
}

static void add_boundary(const struct notice *n, struct buf *out)
{
	buf_printf(out, "%.*s.%lld/%s", STR_ARG(n->request->id),
	    (long long)n->envelope->arrival.tv_sec, service_common()->myhostname);
}

static void add_part_start(struct notice *n, const char *description, const char *type)
{
	buf_add_cstr(n->out, "\n--");
	add_boundary(n, n->out);
	buf_printf(
	    n->out, "\nContent-Description: %s\nContent-Type: %s\n", description, type);
}

/* RFC 5322 3.6.4, so that mail programs show the notice beside what it is about. */
static void add_thread(struct notice *n)
{
	struct str id = n->envelope->message_id;
	if (bounce.params.enable_threaded_bounces && id.len > 0)
		buf_printf(n->out, "References: %.*s\nIn-Reply-To: %.*s\n", STR_ARG(id),
		    STR_ARG(id));
}

static void add_header(struct notice *n)
{
	struct buf *out = n->out;
	const struct notice_template *t = &bounce.templates.of[row(n)->template];
	bool copy = n->to_postmaster && t->postmaster_subject.len > 0;
	struct str subject = copy ? t->postmaster_subject : t->subject;
	buf_add_cstr(out, "Date: ");
	clock_add_rfc5322(out, clock_wall_seconds());
	buf_printf(
	    out, "\nFrom: %.*s\nSubject: %.*s\nTo: ", STR_ARG(t->from), STR_ARG(subject));
	address_quote(out, n->recipient);
	buf_add_char(out, '\n');
	add_thread(n);
	buf_printf(out, "Auto-Submitted: %s\nMIME-Version: 1.0\n",
	    n->to_postmaster ? "auto-generated" : "auto-replied");
	buf_add_cstr(out,
	    "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"");
	add_boundary(n, out);
	buf_add_cstr(out,
	    "\"\nContent-Transfer-Encoding: 8bit\n\n"
	    "This is a MIME-encapsulated message.\n");
}

static void add_text_recipient(struct buf *out, const struct bounce_entry *e)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(BOUNCE_LOG_LINE * 3);
	buf_add_char(&line, '<');
	address_quote(&line, e->recipient);
	buf_add_char(&line, '>');
	if (e->original.len > 0 && !str_equal_nocase(e->original, e->recipient)) {
		buf_add_cstr(&line, " (expanded from <");
		address_quote(&line, e->original);
		buf_add_cstr(&line, ">)");
	}
	buf_add_cstr(&line, ": ");
	buf_add_str(&line, e->reason);
	buf_add_char(out, '\n');
	add_folded(out, buf_str(&line));
}

/* Calls for each entry of the log that is due, up to n->most; how many are due. */
static size_t each_entry(
    struct notice *n, void (*add)(struct notice *, const struct bounce_entry *))
{
	struct bounce_log_reader reader;
	struct bounce_entry e;
	size_t count = 0;
	bounce_log_reader_init(&reader, n->log);
	while (bounce_log_next(&reader, &e)) {
		if (!is_wanted(n, &e))
			continue;
		count++;
		if (add != NULL && count <= n->most)
			add(n, &e);
	}
	bounce_log_reader_free(&reader);
	return count;
}

static void text_entry(struct notice *n, const struct bounce_entry *e)
{
	add_text_recipient(n->out, e);
}

/* The postmaster needs no explanation. Reasons may hold UTF-8 also when the template does
 * not. */
static void add_text_part(struct notice *n)
{
	struct str charset = bounce.templates.of[row(n)->template].charset;
	if (str_is_nocase(charset, "us-ascii"))
		charset = STR("utf-8");
	add_part_start(n, "Notification", "text/plain");
	buf_truncate(n->out, n->out->len - 1);
	buf_printf(n->out, "; charset=%.*s\nContent-Transfer-Encoding: 8bit\n\n",
	    STR_ARG(charset));
	if (!n->to_postmaster)
		buf_add_str(n->out, n->text);
	size_t count = each_entry(n, text_entry);
	size_t more = count > n->most ? count - n->most : 0;
	if (more > 0)
		buf_printf(n->out,
		    "\nand %zu more recipient%s: what is to be said is too long for one\n"
		    "message.\n",
		    more, more > 1 ? "s" : "");
}

/* Entries of the defer log end as failures when a message expires. */
static struct str action_of(const struct notice *n, const struct bounce_entry *e)
{
	if (n->kind == NOTICE_FAILURE)
		return STR("failed");
	return n->kind == NOTICE_DELAY ? STR("delayed") : e->action;
}

/* RFC 6533 3: an address beyond ASCII, in a report of a message that was sent with
 * SMTPUTF8, has a type of its own. */
static const char *address_type(const struct notice *n, struct str address)
{
	return notice_is_utf8(n) && !str_is_ascii(address) ? "utf-8" : "rfc822";
}

/* RFC 3464 2.3: one group of fields a recipient. */
static void report_entry(struct notice *n, const struct bounce_entry *e)
{
	struct buf *out = n->out;
	buf_printf(out, "\nFinal-Recipient: %s; ", address_type(n, e->recipient));
	address_quote(out, e->recipient);
	if (e->dsn_orcpt.len > 0) {
		buf_add_cstr(out, "\nOriginal-Recipient: ");
		buf_add_str(out, e->dsn_orcpt);
	} else if (e->original.len > 0) {
		buf_printf(
		    out, "\nOriginal-Recipient: %s;", address_type(n, e->original));
		address_quote(out, e->original);
	}
	buf_printf(out, "\nAction: %.*s\nStatus: %.*s\n", STR_ARG(action_of(n, e)),
	    STR_ARG(e->status));
	if (e->mta_name.len > 0)
		buf_printf(out, "Remote-MTA: %.*s; %.*s\n", STR_ARG(e->mta_type),
		    STR_ARG(e->mta_name));
	CLEANUP(buf_free) struct buf code = BUF_INIT(BOUNCE_LOG_LINE * 2);
	if (e->diag_type.len > 0)
		buf_printf(
		    &code, "%.*s; %.*s", STR_ARG(e->diag_type), STR_ARG(e->diag_text));
	else
		buf_printf(&code, "X-Postfix; %.*s", STR_ARG(e->reason));
	buf_add_cstr(out, "Diagnostic-Code: ");
	add_folded(out, buf_str(&code));
	if (n->kind == NOTICE_DELAY) {
		buf_add_cstr(out, "Will-Retry-Until: ");
		clock_add_rfc5322(out,
		    n->envelope->arrival.tv_sec + bounce.params.maximal_queue_lifetime);
		buf_add_char(out, '\n');
	}
}

/* Whose message it is; a notice is the mail system's own. */
static void add_sender(struct notice *n)
{
	if (n->request->sender.len > 0)
		address_quote(n->out, n->request->sender);
	else
		buf_printf(n->out, "MAILER-DAEMON@%s", service_common()->myhostname);
}

/* RFC 3464 2.2: fields about the message. */
static void add_report_part(struct notice *n)
{
	struct buf *out = n->out;
	add_part_start(n, "Delivery report",
	    notice_is_utf8(n) ? "message/global-delivery-status"
			      : "message/delivery-status");
	if (notice_is_utf8(n))
		buf_add_cstr(out, "Content-Transfer-Encoding: 8bit\n");
	buf_printf(out, "\nReporting-MTA: dns; %s\n", service_common()->myhostname);
	if (n->request->envelope_id.len > 0)
		buf_printf(out, "Original-Envelope-Id: %.*s\n",
		    STR_ARG(n->request->envelope_id));
	buf_printf(out, "X-Postfix-Queue-ID: %.*s\n", STR_ARG(n->request->id));
	buf_printf(out, "X-Postfix-Sender: %s; ", address_type(n, n->request->sender));
	add_sender(n);
	buf_add_cstr(out, "\nArrival-Date: ");
	clock_add_rfc5322(out, n->envelope->arrival.tv_sec);
	buf_add_char(out, '\n');
	(void)each_entry(n, report_entry);
}

/* RFC 6533: asked for with MAIL ... SMTPUTF8. */
bool notice_is_utf8(const struct notice *n)
{
	return (n->request->sendopts & BOUNCE_SMTPUTF8) != 0;
}

bool notice_headers_only(const struct notice *n)
{
	return n->headers_only || n->kind != NOTICE_FAILURE ||
	    n->request->ret == DSN_RET_HDRS ||
	    n->envelope->message_size > bounce.params.bounce_size_limit;
}

static const char *const content_types[2][2] = {
    {"message/rfc822", "text/rfc822-headers"},
    {"message/global", "message/global-headers"},
};

static void add_message_part(struct notice *n)
{
	bool headers_only = notice_headers_only(n);
	char description[64];
	(void)snprintf(description, sizeof(description), "%s%s", row(n)->part,
	    headers_only ? " Headers" : "");
	add_part_start(n, description, content_types[notice_is_utf8(n)][headers_only]);
	buf_add_cstr(n->out, "Content-Transfer-Encoding: 8bit\n\nReturn-Path: <");
	add_sender(n);
	buf_add_cstr(n->out, ">\n");
}

size_t notice_write(struct notice *n)
{
	size_t count = each_entry(n, NULL);
	if (count == 0)
		return 0;
	add_header(n);
	add_text_part(n);
	add_report_part(n);
	add_message_part(n);
	return count;
}

bool notice_shorten(struct notice *n, size_t told)
{
	if (!notice_headers_only(n))
		n->headers_only = true;
	else if (told > (n->no_message ? 0 : 1))
		n->most = told / 2;
	else if (!n->no_message) {
		n->no_message = true;
		n->most = SIZE_MAX;
	} else
		return false;
	return true;
}

void notice_write_end(const struct notice *n, struct buf *out)
{
	buf_add_cstr(out, "\n--");
	add_boundary(n, out);
	buf_add_cstr(out, "--\n");
}
