#include "bounce/notice.h"

#include <string.h>
#include "base/clock.h"

#define FOLD_WIDTH 79

/* What differs between the kinds. Which words tools look for is settled (subjects, field
 * names, part names); the explanation is ours. */
static const struct kind_row {
	const char *subject, *postmaster_subject, *title, *postmaster_title, *part;
	const char *explanation;
} kinds[] = {
    [NOTICE_FAILURE] =
	{
	    "Undelivered Mail Returned to Sender",
	    "Postmaster Copy: Undelivered Mail",
	    "sender non-delivery notification",
	    "postmaster non-delivery notification",
	    "Undelivered Message",
	    "Your message could not be delivered to the recipients listed below, and\n"
	    "delivery will not be tried again. The reason stands behind each address;\n"
	    "the message itself is attached.\n",
	},
    [NOTICE_DELAY] =
	{
	    "Delayed Mail (still being retried)",
	    "Postmaster Warning: Delayed Mail",
	    "sender delay notification",
	    "postmaster delay notification",
	    "Undelivered Message",
	    "THIS IS ONLY A WARNING. THERE IS NO NEED TO SEND YOUR MESSAGE AGAIN.\n\n"
	    "Your message has not reached the recipients listed below yet. Delivery\n"
	    "is being tried again from time to time.\n",
	},
    [NOTICE_TRACE] =
	{
	    "Mail Delivery Status Report",
	    "Postmaster Copy: Mail Delivery Status Report",
	    "sender delivery status notification",
	    "postmaster delivery status notification",
	    "Message",
	    "This is the delivery report that was asked for.\n",
	},
    [NOTICE_SUCCESS] =
	{
	    "Successful Mail Delivery Report",
	    "Postmaster Copy: Successful Mail Delivery Report",
	    "sender delivery status notification",
	    "postmaster delivery status notification",
	    "Message",
	    "Your message was delivered to the recipients listed below, or handed on to\n"
	    "a system that sends no such reports.\n",
	},
};

static const struct kind_row *row(const struct notice *n)
{
	return &kinds[n->kind];
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
	return n->to_postmaster || e->notify == 0 || (e->notify & wanted[n->kind]) != 0;
}

/* Breaks `text` at blanks so that no line is longer than FOLD_WIDTH; lines after the
 * first begin with four. */
static void add_folded(struct buf *out, struct str text)
{
	size_t line_start = out->len;
	while (line_start > 0 && out->p[line_start - 1] != '\n')
		line_start--;
	struct str word;
	bool first = true;
	while (str_next(&text, " \t\r\n", &word)) {
		size_t column = out->len - line_start;
		if (!first && column + 1 + word.len > FOLD_WIDTH) {
			line_start = out->len + 1;
			buf_add_cstr(out, "\n    ");
		} else if (!first) {
			buf_add_char(out, ' ');
		}
		buf_add_str(out, word);
		first = false;
	}
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

static void add_header(struct notice *n)
{
	struct buf *out = n->out;
	buf_add_cstr(out, "Date: ");
	clock_add_rfc5322(out, clock_wall_seconds());
	buf_printf(out,
	    "\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\nSubject: %s\nTo: ",
	    service_common()->myorigin,
	    n->to_postmaster ? row(n)->postmaster_subject : row(n)->subject);
	address_quote(out, n->recipient);
	buf_printf(out, "\nAuto-Submitted: %s\nMIME-Version: 1.0\n",
	    n->to_postmaster ? "auto-generated" : "auto-replied");
	buf_printf(out,
	    "Content-Type: multipart/report; report-type=%sdelivery-status;\n\tboundary=\"",
	    notice_is_utf8(n) ? "global-" : "");
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

/* Calls for each entry of the log that is spoken of; how many there are. */
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
		if (add != NULL)
			add(n, &e);
	}
	bounce_log_reader_free(&reader);
	return count;
}

static void text_entry(struct notice *n, const struct bounce_entry *e)
{
	add_text_recipient(n->out, e);
}

static void add_text_part(struct notice *n)
{
	add_part_start(n, "Notification", "text/plain; charset=utf-8");
	buf_printf(n->out,
	    "Content-Transfer-Encoding: 8bit\n\nThis is the mail system at host %s.\n\n%s\n"
	    "If you need help, write to postmaster and include this notice.\n",
	    service_common()->myhostname, row(n)->explanation);
	(void)each_entry(n, text_entry);
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

/* RFC 3464 2.2: fields about the message. */
static void add_report_part(struct notice *n)
{
	struct buf *out = n->out;
	add_part_start(n, "Delivery report",
	    notice_is_utf8(n) ? "message/global-delivery-status"
			      : "message/delivery-status");
	buf_printf(out, "\nReporting-MTA: dns; %s\n", service_common()->myhostname);
	if (n->request->envelope_id.len > 0)
		buf_printf(out, "Original-Envelope-Id: %.*s\n",
		    STR_ARG(n->request->envelope_id));
	buf_printf(out, "X-Postfix-Queue-ID: %.*s\n", STR_ARG(n->request->id));
	buf_printf(out, "X-Postfix-Sender: %s; ", address_type(n, n->request->sender));
	address_quote(out, n->request->sender);
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
	return n->kind != NOTICE_FAILURE || n->request->ret == DSN_RET_HDRS ||
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
	address_quote(n->out, n->request->sender);
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

void notice_write_end(const struct notice *n, struct buf *out)
{
	buf_add_cstr(out, "\n--");
	add_boundary(n, out);
	buf_add_cstr(out, "--\n");
}
