/*
 * Submission: envelope and message as records on their way to postdrop. The message is
 * read once, piece by piece; memory grows with the recipients in its header only.
 */
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "client/postdrop_client.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "queue/attr_list.h"
#include "queue/queue_file.h"
#include "queue/record.h"
#include "sendmail/content.h"
#include "sendmail/sendmail.h"
#include "service/command.h"

#define READ_SIZE     65536
#define RECORDS_MAX   (256 * 1024 * 1024)
#define TOKENS_MAX    SIZE_MAX
#define FULL_NAME_MAX 1000

struct submission {
	const struct sendmail_options *options;
	struct postdrop *postdrop;
	struct buf records;           /* on their way */
	struct buf extracted, resent; /* records of -t */
	size_t extracted_count, resent_count;
	struct buf sender;
};

/* Whose mail it is, for what fatal_to_caller says: the sender, once that is known. */
static const char *known_sender;

static const struct passwd *who(void)
{
	const struct passwd *user = getpwuid(getuid());
	if (user == NULL)
		fatal("no login name found for user ID %d", (int)getuid());
	return user;
}

static const char *login(void)
{
	return who()->pw_name;
}

/* "LOGIN(uid): text", exit status 75. */
NORETURN PRINTF_LIKE(1, 2) static void fatal_to_caller(const char *format, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(8192);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	fatal("%s(%d): %s", known_sender != NULL ? known_sender : login(), (int)getuid(),
	    buf_cstr(&text));
}

/* --- addresses --- */

/* No control byte gets into an envelope; a folded address is one with blanks. */
static void add_clean(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool blank = c == '\n' || c == '\r' || c == '\t';
		buf_add_char(out, blank ? ' ' : c < 32 || c == 127 ? '?' : s.p[i]);
	}
}

struct address_adder {
	const struct submission *submission;
	struct buf *records;
	size_t count;
};

static void add_recipient(struct address_adder *a, struct str internal)
{
	CLEANUP(buf_free) struct buf clean = BUF_INIT(ADDRESS_MAX);
	uint32_t notify = a->submission->options->notify;
	add_clean(&clean, internal);
	if (notify != 0)
		record_printf(a->records, RECORD_ATTRIBUTE, "notify_flags=%u", notify);
	record_write(a->records, RECORD_RECIPIENT, buf_str(&clean));
	a->count++;
}

static bool each_recipient(
    void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct address_adder *a = context;
	add_recipient(a, internal);
	return buf_ok(a->records);
}

/* A word that no address may be as long as would be passed over in silence. */
static void check_length(struct str text)
{
	struct str word;
	while (str_next(&text, " \t\r\n,", &word))
		if (word.len > ADDRESS_MAX)
			fatal_to_caller(
			    "recipient address is longer than %d bytes: %.*s...",
			    ADDRESS_MAX, STR_ARG(str_slice(word, 0, 50)));
}

/* An operand may hold several addresses; one that holds none is the empty address. */
static void add_operand(struct submission *s, const char *operand)
{
	struct address_adder a = {.submission = s, .records = &s->records};
	check_length(str_of(operand));
	(void)address_list_walk(str_of(operand), TOKENS_MAX, each_recipient, &a, NULL);
	if (a.count == 0)
		add_recipient(&a, STR_EMPTY);
	postdrop_write(s->postdrop, &s->records, false);
}

static void add_from_header(void *context, struct str body, bool resent)
{
	struct submission *s = context;
	struct address_adder a = {
	    .submission = s, .records = resent ? &s->resent : &s->extracted};
	check_length(body);
	(void)address_list_walk(body, TOKENS_MAX, each_recipient, &a, NULL);
	*(resent ? &s->resent_count : &s->extracted_count) += a.count;
}

/* --- envelope --- */

struct first_address {
	struct buf *out;
	size_t count;
};

static bool each_sender(
    void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct first_address *f = context;
	if (f->count++ == 0)
		add_clean(f->out, internal);
	return true;
}

static void find_sender(struct submission *s)
{
	const char *given = s->options->sender;
	struct first_address f = {.out = &s->sender};
	if (given == NULL)
		buf_add_cstr(&s->sender, login());
	else
		(void)address_list_walk(str_of(given), TOKENS_MAX, each_sender, &f, NULL);
	if (f.count > 1)
		log_warning("-f option specified malformed sender: %s", given);
	known_sender = buf_cstr(&s->sender);
}

/* The user database has it before the first comma; '&' is the login name with a capital.
 */
static void add_gecos(struct buf *out, const struct passwd *user)
{
	for (const char *c = user->pw_gecos; *c != '\0' && *c != ','; c++) {
		if (*c != '&') {
			buf_add_char(out, *c);
			continue;
		}
		buf_add_char(out, ascii_upper(user->pw_name[0]));
		buf_add_cstr(out, user->pw_name + 1);
	}
}

static void add_full_name(struct submission *s)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(FULL_NAME_MAX);
	CLEANUP(buf_free) struct buf clean = BUF_INIT(FULL_NAME_MAX);
	const char *given = s->options->full_name;
	if (given == NULL)
		given = getenv("NAME");
	if (given != NULL)
		buf_add_str(&name, str_slice(str_of(given), 0, FULL_NAME_MAX));
	else
		add_gecos(&name, who());
	add_clean(&clean, buf_str(&name));
	record_write(&s->records, RECORD_FULL_NAME, buf_str(&clean));
}

/* What the delivery agents shall report (-bv, -v), as a queue file has it. */
static unsigned trace_flags(const struct sendmail_options *o)
{
	if (o->mode == MODE_VERIFY)
		return QUEUE_TRACE_PROBE;
	return o->verbosity == 1 ? QUEUE_TRACE_REPORT : 0;
}

static void add_envelope(struct submission *s, char *const *operands)
{
	const struct sendmail_options *o = s->options;
	struct buf *out = &s->records;
	if (o->envelope_id != NULL)
		record_attribute(out, "envelope_id", str_of(o->envelope_id));
	if (o->ret != 0)
		record_printf(out, RECORD_ATTRIBUTE, "ret_flags=%u", o->ret);
	record_attribute(
	    out, "rewrite_context", o->remote ? STR("remote") : STR("local"));
	add_full_name(s);
	record_write(out, RECORD_SENDER, buf_str(&s->sender));
	if (o->encoding != NULL)
		record_attribute(out, "encoding", str_of(o->encoding));
	if (trace_flags(o) != 0)
		record_printf(out, RECORD_ATTRIBUTE, "trace_flags=%u", trace_flags(o));
	if (o->verp != NULL)
		record_write(out, RECORD_VERP, str_of(o->verp));
	for (; *operands != NULL; operands++)
		add_operand(s, *operands);
}

/* --- content --- */

static enum content_line_ends line_ends(void)
{
	struct str value = str_of(sendmail_params.sendmail_fix_line_endings);
	if (str_is_nocase(value, "never"))
		return CONTENT_NEVER;
	if (str_is_nocase(value, "strict"))
		return CONTENT_STRICT;
	if (!str_is_nocase(value, "always"))
		fatal("bad sendmail_fix_line_endings value: %.*s", STR_ARG(value));
	return CONTENT_ALWAYS;
}

/* The message of -bv, which nobody gets. */
static void add_probe(struct submission *s, char *const *operands)
{
	struct buf *out = &s->records;
	if (s->sender.len > 0)
		record_printf(out, RECORD_LINE, "From: %s", buf_cstr(&s->sender));
	record_write(out, RECORD_LINE, STR("Subject: probe"));
	record_write(out, RECORD_FILTER /* no line end, here */, STR("To:"));
	for (; *operands != NULL; operands++) {
		CLEANUP(buf_free) struct buf line = BUF_INIT(RECORD_DATA_MAX);
		buf_add_char(&line, '\t');
		add_clean(&line, str_of(*operands));
		if (operands[1] != NULL)
			buf_add_char(&line, ',');
		record_write(out, RECORD_LINE, buf_str(&line));
		postdrop_write(s->postdrop, out, false);
	}
}

static void add_content(struct submission *s)
{
	struct content c;
	CLEANUP(buf_free) struct buf input = BUF_INIT(READ_SIZE);
	ssize_t got;
	bool more = true;
	content_init(&c, &s->records, (size_t)command_common()->line_length_limit);
	c.extract = s->options->extract;
	c.dot_is_text = s->options->dot_is_text;
	c.line_ends = line_ends();
	c.recipients = add_from_header;
	c.context = s;
	while (more) {
		buf_clear(&input);
		got = file_read_some(
		    STDIN_FILENO, buf_reserve(&input, READ_SIZE), READ_SIZE);
		if (got < 0)
			fatal_to_caller("error reading input: %s", strerror((int)-got));
		if (got == 0)
			break;
		buf_advance(&input, (size_t)got);
		more = content_text(&c, buf_str(&input));
		postdrop_write(s->postdrop, &s->records, false);
	}
	content_end(&c);
	if (c.too_long)
		fatal_to_caller("unable to extract recipients: message header length "
				"exceeds safety limit");
	content_free(&c);
}

static void add_extracted(struct submission *s, bool has_operands)
{
	/* A message that is sent on goes to those it is sent on to (RFC 5322 3.6.6). */
	struct buf *chosen = s->resent_count > 0 ? &s->resent : &s->extracted;
	if (s->resent_count + s->extracted_count == 0 && !has_operands)
		fatal_to_caller("No recipient addresses found in message header");
	if (!buf_ok(chosen))
		fatal_to_caller("too many recipients in message header");
	buf_add_str(&s->records, buf_str(chosen));
}

/* The message is safe: that this cannot be said is no trouble. */
static void tell_report(const struct submission *s)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(ADDRESS_MAX + 100);
	if (trace_flags(s->options) == 0)
		return;
	buf_printf(&line, "Mail Delivery Status Report will be mailed to <%s>.\n",
	    buf_cstr(&s->sender));
	if (file_write_all(STDOUT_FILENO, line.p, line.len) != 0)
		log_debug("nobody hears of the report");
}

static struct postdrop *start(void)
{
	const char *directory = program_command_directory(command_common());
	struct postdrop *p = postdrop_start(directory);
	if (p == NULL)
		fatal_to_caller(
		    "unable to execute %s/postdrop -r: Application error", directory);
	return p;
}

static void finish(struct postdrop *p)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(ATTR_LIST_STRING_MAX);
	if (!postdrop_finish(p, &reason))
		fatal_to_caller("%s", buf_cstr(&reason));
	postdrop_free(p);
}

void submit(const struct sendmail_options *o, char *const *operands)
{
	struct submission s = {.options = o,
	    .sender = BUF_INIT(ADDRESS_MAX),
	    .records = BUF_INIT(RECORDS_MAX),
	    .extracted = BUF_INIT(RECORDS_MAX / 4),
	    .resent = BUF_INIT(RECORDS_MAX / 4)};
	find_sender(&s);
	(void)who();
	if (*operands == NULL && !o->extract)
		fatal_to_caller(
		    "Recipient addresses must be specified on the command line "
		    "or via the -t option");
	(void)signal(SIGPIPE, SIG_IGN); /* postdrop's answer tells why it left */
	s.postdrop = start();
	add_envelope(&s, operands);
	record_write(&s.records, RECORD_MESSAGE, STR_EMPTY);
	if (o->mode == MODE_VERIFY)
		add_probe(&s, operands);
	else
		add_content(&s);
	record_write(&s.records, RECORD_EXTRACTED, STR_EMPTY);
	if (o->extract)
		add_extracted(&s, *operands != NULL);
	record_write(&s.records, RECORD_END, STR_EMPTY);
	postdrop_write(s.postdrop, &s.records, true);
	finish(s.postdrop);
	tell_report(&s);
	buf_free(&s.sender);
	buf_free(&s.records);
	buf_free(&s.extracted);
	buf_free(&s.resent);
}
