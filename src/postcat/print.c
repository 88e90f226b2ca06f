#include "postcat/print.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include "base/file.h"
#include "base/log.h"
#include "mail/header.h"
#include "queue/record.h"

/* What a file may begin with. */
static const char first_types[] = "MCTcFILSDRO/WVA>K<ionpw";

enum segment { IN_ENVELOPE, IN_HEADER, IN_BODY, IN_EXTRACTED };

struct print {
	FILE *out;
	const char *name;
	const struct print_options *o;
	struct record_reader reader;
	enum segment segment;
	bool inside_line;  /* the record before was a part of the same line */
	bool fields_began; /* a header field was seen: indented lines continue it */
	int64_t size,
	    walked; /* bytes of the file, and of records so far: finds pointer loops */
};

static void put(struct print *p, struct str s)
{
	(void)fwrite(s.p, 1, s.len, p->out);
}

static void prefix(struct print *p, int64_t offset, int type)
{
	if (p->o->offsets)
		fprintf(p->out, "%9lld ", (long long)offset);
	if (p->o->types)
		fprintf(p->out, "%3d ", type);
}

static void section(struct print *p, int64_t offset, int type, const char *title)
{
	if (!p->o->envelope)
		return;
	prefix(p, offset, type);
	fprintf(p->out, "*** %s %s ***\n", title, p->name);
}

static void labelled(struct print *p, const char *label, struct str data)
{
	fprintf(p->out, "%s: ", label);
	put(p, data);
	(void)fputc('\n', p->out);
}

/* "Sun Nov 22 03:29:06 2026"; what is no number counts as 0. */
static void print_time(struct print *p, const char *label, struct str data)
{
	struct str word = STR_EMPTY;
	int64_t seconds = 0;
	char text[64] = "";
	struct tm local;
	if (str_next(&data, " ", &word) && !str_to_i64(word, &seconds))
		seconds = 0;
	time_t when = (time_t)seconds;
	if (localtime_r(&when, &local) != NULL)
		(void)strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &local);
	labelled(p, label, str_of(text));
}

static void print_attribute(struct print *p, struct str data)
{
	ptrdiff_t equals = str_find(data, '=');
	if (equals <= 0)
		log_warning(
		    "%s: malformed attribute: missing '=' after attribute name: %.*s",
		    p->name, STR_ARG(data));
	if (str_is(str_slice(data, 0, equals > 0 ? (size_t)equals : 0), "create_time"))
		print_time(p, "create_time", str_skip(data, (size_t)equals + 1));
	else
		labelled(p, record_label(RECORD_ATTRIBUTE, false), data);
}

static void check_size_record(struct print *p, struct str data)
{
	struct str rest = data;
	struct str word;
	int64_t number = 0;
	for (int i = 0; i < 3; i++) {
		if (str_next(&rest, " ", &word) && str_to_i64(word, &number))
			continue;
		(void)fflush(p->out);
		log_warning(
		    "invalid size record: %.*s", STR_ARG(str_slice(data, 0, 100)));
		return;
	}
}

static void print_envelope_record(
    struct print *p, int64_t offset, int type, struct str data)
{
	const char *label = record_label(type, false);
	if (!p->o->envelope)
		return;
	prefix(p, offset, type);
	if (label == NULL)
		label = "unknown_record_type";
	switch (type) {
	case RECORD_ATTRIBUTE:
		print_attribute(p, data);
		break;
	case RECORD_TIME:
	case RECORD_CREATED:
	case RECORD_WARN:
		print_time(p, label, data);
		break;
	default:
		labelled(p, label, data);
		break;
	}
	if (type == RECORD_SIZE)
		check_size_record(p, data);
}

/* The body begins with the first line that is neither field nor continuation. */
static void leave_header(struct print *p, struct str line)
{
	if (p->segment != IN_HEADER || p->inside_line)
		return;
	bool field = header_name_length(line) > 0;
	bool continues =
	    p->fields_began && line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
	p->fields_began = p->fields_began || field;
	if (!field && !continues)
		p->segment = IN_BODY;
}

static void print_text(struct print *p, int64_t offset, int type, struct str line)
{
	leave_header(p, line);
	p->inside_line = type == RECORD_PART;
	if (p->segment == IN_HEADER ? !p->o->header : !p->o->body)
		return;
	prefix(p, offset, type);
	if (p->o->verbose) {
		labelled(p, record_label(type, true), line);
		return;
	}
	put(p, line);
	if (type == RECORD_LINE || p->o->offsets)
		(void)fputc('\n', p->out);
}

static bool is_text(const struct print *p, int type)
{
	return (p->segment == IN_HEADER || p->segment == IN_BODY) &&
	    (type == RECORD_LINE || type == RECORD_PART);
}

/* False: that was the last record. */
static bool print_record(struct print *p, int64_t offset, int type, struct str data)
{
	if (is_text(p, type)) {
		print_text(p, offset, type, data);
	} else if (type == RECORD_MESSAGE) {
		section(p, offset, type, "MESSAGE CONTENTS");
		p->segment = IN_HEADER;
	} else if (type == RECORD_EXTRACTED) {
		section(p, offset, type, "HEADER EXTRACTED");
		p->segment = IN_EXTRACTED;
	} else if (type == RECORD_END) {
		section(p, offset, type, "MESSAGE FILE END");
		return p->o->raw; /* edits lie behind it */
	} else {
		print_envelope_record(p, offset, type, data);
	}
	return true;
}

/* Who starts in the middle of a file gets no title. */
static void start(struct print *p, int type)
{
	if (p->o->start == 0 && p->o->envelope)
		fprintf(p->out, "*** ENVELOPE RECORDS %s ***\n", p->name);
	else if (type == RECORD_LINE)
		p->segment = IN_HEADER;
}

static enum print_result read_error(struct print *p, int error)
{
	unsigned char header[6] = {0};
	unsigned long length = 0;
	(void)fflush(p->out);
	if (error != -EBADMSG) {
		log_warning("%s: read: %s", p->name, strerror(-error));
		return PRINT_READ_ERROR;
	}
	ssize_t got =
	    file_read_at(p->reader.fd, header, sizeof(header), p->reader.offset);
	for (ssize_t i = 1; i < got; i++) {
		length |= (unsigned long)(header[i] & 127) << (7 * (i - 1));
		if ((header[i] & 128) == 0)
			break;
	}
	log_warning("%s: unexpected EOF in data, record type %d length %lu", p->name,
	    header[0], length);
	return PRINT_READ_ERROR;
}

/* 1 with the record; a pointer's own offset stands for the record it leads to, unless
 * pointers are shown themselves. 0 at the end. */
static int next(struct print *p, int64_t *offset_r, int *type_r, struct str *data_r)
{
	bool shown = p->o->verbose || p->o->raw;
	*offset_r = p->reader.offset;
	for (;;) {
		int result = record_reader_next(&p->reader, type_r, data_r);
		if (result <= 0)
			return result;
		p->walked += p->reader.offset - p->reader.last_offset;
		int64_t target = 0;
		bool pointer = *type_r == RECORD_POINTER && !p->o->raw;
		if (pointer && str_to_range(str_trim(*data_r), 1, p->size, &target))
			record_reader_seek(&p->reader, target);
		if (!pointer || shown)
			return 1;
		if (target == 0)
			*offset_r = p->reader.offset;
		if (p->walked > p->size)
			return -ELOOP;
	}
}

enum print_result print_file(
    FILE *out, int fd, const char *name, const struct print_options *o)
{
	struct print_options options = *o;
	struct stat status;
	if (!o->body && !o->envelope && !o->header)
		options.body = options.envelope = options.header = true;
	struct print p = {
	    .out = out, .name = name, .o = &options, .segment = IN_ENVELOPE};
	if (fstat(fd, &status) == 0)
		p.size = status.st_size;
	enum print_result result = PRINT_DONE;
	record_reader_init(&p.reader, fd, o->start);
	for (bool first = true;; first = false) {
		int64_t offset = 0;
		int type = 0;
		struct str data = STR_EMPTY;
		int got = next(&p, &offset, &type, &data);
		if (got == 0)
			break;
		if (got < 0 || p.walked > p.size) {
			result = read_error(&p, got < 0 ? got : -ELOOP);
			break;
		}
		if (first && o->start == 0 &&
		    (type == 0 || strchr(first_types, type) == NULL)) {
			result = PRINT_NOT_A_QUEUE_FILE;
			break;
		}
		if (first)
			start(&p, type);
		if (!print_record(&p, offset, type, data))
			break;
	}
	record_reader_free(&p.reader);
	return result;
}
