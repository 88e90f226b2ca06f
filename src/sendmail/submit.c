/*
 * Submission: envelope and message as records, written to postdrop's standard input. The
 * message is read once, line by line; memory does not depend on its size.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/header.h"
#include "queue/queue_write.h"
#include "sendmail/sendmail.h"
#include "service/command.h"

#define ARENA_MAX  (64 * 1024 * 1024)
#define READ_SIZE  65536
#define STATUS_MAX 65536
#define PATH_ROOM  4096
#define TOKENS_MAX 1000000

const char *sendmail_user(void)
{
	const struct passwd *user = getpwuid(getuid());
	return user != NULL ? user->pw_name : "unknown";
}

void sendmail_fatal(const char *format, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	fatal("%s(%d): %s", sendmail_user(), (int)getuid(), buf_cstr(&text));
}

static bool add_one(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct recipients *r = context;
	struct str copy = arena_str(r->arena, internal);
	if (r->count == RECIPIENTS_MAX || copy.p == NULL) {
		r->too_many = true;
		return false;
	}
	r->list[r->count++] = copy;
	return true;
}

void recipients_add(struct recipients *r, struct str list)
{
	(void)address_list_walk(list, TOKENS_MAX, add_one, r, NULL);
	if (r->too_many)
		sendmail_fatal("too many recipients");
}

/* --- postdrop --- */

struct postdrop {
	pid_t pid;
	int input, output;
	struct buf records;
};

static void postdrop_start(struct postdrop *p)
{
	char path[PATH_ROOM];
	int in[2], out[2];
	(void)snprintf(path, sizeof(path), "%s/postdrop",
	    program_command_directory(command_common()));
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		sendmail_fatal("pipe: %s", strerror(errno));
	log_flush();
	p->pid = fork();
	if (p->pid < 0)
		sendmail_fatal("fork: %s", strerror(errno));
	if (p->pid == 0) {
		if (dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1)
			(void)execl(path, "postdrop", "-r", (char *)NULL);
		_exit(127);
	}
	file_close(&in[0]);
	file_close(&out[1]);
	p->input = in[1];
	p->output = out[0];
	buf_init(&p->records, READ_SIZE + RECORD_DATA_MAX * 2);
}

/* When postdrop gave up, its status tells why; writing on is pointless. */
static void postdrop_write(struct postdrop *p, bool all)
{
	if (!all && p->records.len < READ_SIZE)
		return;
	if (p->input >= 0 && file_write_all(p->input, p->records.p, p->records.len) != 0)
		file_close(&p->input);
	buf_clear(&p->records);
}

/* The value of an attribute in postdrop's answer, or NULL. */
static const char *attribute(const struct buf *answer, const char *name)
{
	size_t len = strlen(name) + 1;
	for (size_t at = 0; at + len < answer->len; at++)
		if ((at == 0 || answer->p[at - 1] == '\0') &&
		    memcmp(answer->p + at, name, len) == 0)
			return answer->p + at + len;
	return NULL;
}

static int postdrop_finish(struct postdrop *p)
{
	CLEANUP(buf_free) struct buf answer = BUF_INIT(STATUS_MAX);
	char bytes[4096];
	ssize_t got;
	int status = 0;
	postdrop_write(p, true);
	file_close(&p->input);
	while ((got = file_read_some(p->output, bytes, sizeof(bytes))) > 0)
		buf_add(&answer, bytes, (size_t)got);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	const char *result = attribute(&answer, "status");
	if (result != NULL && strcmp(result, "0") == 0)
		return 0;
	const char *reason = attribute(&answer, "reason");
	sendmail_fatal("%s",
	    reason != NULL && reason[0] != '\0'
		? reason
		: "unable to execute postdrop, or it failed");
}

/* --- the message --- */

struct reader {
	struct buf line; /* with its line end while it is read */
	char bytes[READ_SIZE];
	size_t at, len;
	bool eof;
};

/* A line without its end; false at the end of input. *whole false: no line end came, or
 * the line is long. */
static bool read_line(struct reader *r, size_t limit, bool *whole)
{
	buf_clear(&r->line);
	*whole = false;
	while (r->line.len < limit) {
		if (r->at == r->len) {
			ssize_t got = r->eof
			    ? 0
			    : file_read_some(STDIN_FILENO, r->bytes, sizeof(r->bytes));
			if (got < 0)
				sendmail_fatal(
				    "error reading input: %s", strerror((int)-got));
			r->eof = got == 0;
			if (r->eof)
				return r->line.len > 0;
			r->at = 0;
			r->len = (size_t)got;
		}
		const char *start = r->bytes + r->at;
		size_t most = r->len - r->at < limit - r->line.len ? r->len - r->at
								   : limit - r->line.len;
		const char *end = memchr(start, '\n', most);
		size_t len = end != NULL ? (size_t)(end - start) : most;
		buf_add(&r->line, start, len);
		r->at += end != NULL ? len + 1 : len;
		if (end != NULL) {
			*whole = true;
			return true;
		}
	}
	return true;
}

struct message {
	struct sendmail *options;
	struct postdrop *postdrop;
	struct recipients *extracted;
	struct buf field; /* header field that is being collected, with -t */
	bool in_body, previous_whole;
};

static void field_done(struct message *m)
{
	struct str field = buf_str(&m->field);
	size_t name = header_name_length(field);
	if (name > 0 && (header_find(str_slice(field, 0, name))->flags & HEADER_EXTRACT))
		recipients_add(m->extracted, header_body(field));
	buf_clear(&m->field);
}

static void look_at_header(struct message *m, struct str line)
{
	bool folded = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
	if (!folded)
		field_done(m);
	if (!folded && header_name_length(line) == 0) {
		m->in_body =
		    !str_starts(line, STR("From ")); /* a mailbox line may come first */
		return;
	}
	if (folded)
		buf_add_char(&m->field, '\n');
	buf_add_str(&m->field, line);
	if (!buf_ok(&m->field))
		sendmail_fatal("header field is too long");
}

/* CR LF line ends become LF (sendmail_fix_line_endings). */
static struct str fix_line_end(struct str line, bool whole)
{
	bool fix = strcmp(sendmail_params.sendmail_fix_line_endings, "never") != 0;
	return fix && whole && str_ends(line, STR("\r"))
	    ? str_slice(line, 0, line.len - 1)
	    : line;
}

static void copy_message(struct message *m)
{
	size_t limit = (size_t)command_common()->line_length_limit;
	struct reader *r = memory_alloc(sizeof(*r));
	bool whole;
	buf_init(&r->line, limit + 1);
	m->previous_whole = true;
	while (read_line(r, limit, &whole)) {
		struct str line = fix_line_end(buf_str(&r->line), whole);
		if (m->options->dot_ends && m->previous_whole && whole &&
		    str_is(line, "."))
			break;
		if (m->options->extract && !m->in_body)
			look_at_header(m, line);
		record_write(
		    &m->postdrop->records, whole ? RECORD_LINE : RECORD_PART, line);
		postdrop_write(m->postdrop, false);
		m->previous_whole = whole;
	}
	if (m->options->extract)
		field_done(m);
	buf_free(&r->line);
	free(r);
}

static void write_recipients(
    struct postdrop *p, const struct sendmail *s, const struct recipients *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (s->notify != 0)
			record_printf(
			    &p->records, RECORD_ATTRIBUTE, "notify_flags=%u", s->notify);
		record_write(&p->records, RECORD_RECIPIENT, r->list[i]);
		postdrop_write(p, false);
	}
}

/* The sender as given, or who runs this. "<>" and "" are the null sender. */
static void write_sender(struct postdrop *p, const struct sendmail *s)
{
	const char *given = s->sender != NULL ? s->sender : sendmail_user();
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
	struct str rest = STR_EMPTY;
	struct address_path_rules rules = {.null_ok = true, .utf8_ok = true};
	if (given[0] != '\0' &&
	    !address_path_parse(str_of(given), rules, &sender, &rest)) {
		log_warning("-f option specified malformed sender: %s", given);
		address_unquote(&sender, str_of(given));
	}
	record_write(&p->records, RECORD_SENDER, buf_str(&sender));
}

/* -F, else NAME, else the user database, where '&' stands for the capitalised name. */
static void write_full_name(struct postdrop *p, const struct sendmail *s)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1024);
	const struct passwd *user = getpwuid(getuid());
	const char *given = s->full_name != NULL ? s->full_name : getenv("NAME");
	if (given != NULL)
		buf_add_cstr(&name, given);
	for (const char *c = user != NULL ? user->pw_gecos : "";
	     given == NULL && *c != '\0' && *c != ','; c++) {
		if (*c != '&') {
			buf_add_char(&name, *c);
			continue;
		}
		buf_add_char(&name, ascii_upper(user->pw_name[0]));
		buf_add_cstr(&name, user->pw_name + 1);
	}
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] == '\n' || name.p[i] == '\r')
			name.p[i] = ' ';
	record_write(&p->records, RECORD_FULL_NAME, buf_str(&name));
}

static void write_envelope(
    struct postdrop *p, const struct sendmail *s, const struct recipients *r)
{
	if (s->envelope_id != NULL)
		record_printf(
		    &p->records, RECORD_ATTRIBUTE, "envelope_id=%s", s->envelope_id);
	if (s->ret != DSN_RET_DEFAULT)
		record_printf(&p->records, RECORD_ATTRIBUTE, "ret_flags=%u", s->ret);
	record_printf(&p->records, RECORD_ATTRIBUTE, "rewrite_context=local");
	write_full_name(p, s);
	write_sender(p, s);
	if (s->body_8bit)
		record_printf(&p->records, RECORD_ATTRIBUTE, "encoding=8bit");
	write_recipients(p, s, r);
	record_write(&p->records, RECORD_MESSAGE, STR_EMPTY);
}

int sendmail_submit(struct sendmail *s, char *const *operands)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(ARENA_MAX);
	struct recipients given = {.arena = a}, extracted = {.arena = a};
	struct postdrop postdrop = {.pid = 0};
	given.list = arena_alloc_array(a, RECIPIENTS_MAX, sizeof(*given.list));
	extracted.list = arena_alloc_array(a, RECIPIENTS_MAX, sizeof(*extracted.list));
	if (given.list == NULL || extracted.list == NULL)
		sendmail_fatal("out of memory");
	for (; *operands != NULL; operands++)
		recipients_add(&given, str_of(*operands));
	if (given.count == 0 && !s->extract)
		sendmail_fatal(
		    "Recipient addresses must be specified on the command line or via the -t "
		    "option");
	(void)signal(SIGPIPE, SIG_IGN);
	postdrop_start(&postdrop);
	write_envelope(&postdrop, s, &given);
	struct message m = {.options = s,
	    .postdrop = &postdrop,
	    .extracted = &extracted,
	    .field = BUF_INIT((size_t)1024 * 1024)};
	copy_message(&m);
	buf_free(&m.field);
	if (given.count + extracted.count == 0)
		sendmail_fatal("No recipient addresses found in message header");
	record_write(&postdrop.records, RECORD_EXTRACTED, STR_EMPTY);
	write_recipients(&postdrop, s, &extracted);
	record_write(&postdrop.records, RECORD_END, STR_EMPTY);
	return postdrop_finish(&postdrop);
}
