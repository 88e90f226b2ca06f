#include "table/source.h"

#include <fcntl.h>
#include "base/file.h"
#include "base/log.h"
#include "conf/config_line.h"
#include "table/base64.h"

#define LINE_MAX_BYTES (16u << 20)

typedef bool source_entry(void *context, struct str key, struct str value, unsigned line);

struct reader {
	const struct table_source *source;
	source_entry *entry;
	void *context;
	unsigned line;
	struct buf key; /* unquoted, folded */
	struct buf value;
};

static void warn(const struct reader *r, const char *what)
{
	log_warning("%s, line %u: %s", r->source->path, r->line, what);
}

static bool give(struct reader *r, struct str key, struct str value)
{
	CLEANUP(buf_free) struct buf content = BUF_INIT(BASE64_VALUE_MAX);
	if (r->source->values_are_files) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		if (!base64_files(value, &content, &error)) {
			log_warning("%s, line %u: %s: skipping this entry",
			    r->source->path, r->line, buf_cstr(&error));
			return true;
		}
		value = buf_str(&content);
	}
	if (!r->source->fold)
		return r->entry(r->context, key, value, r->line);
	CLEANUP(buf_free) struct buf folded = BUF_INIT(key.len * 3 + 16);
	table_fold(&folded, key);
	return r->entry(r->context, buf_str(&folded), value, r->line);
}

/* Bytes up to the first blank outside "quotes" (they stay); false: a quote is not closed.
 */
static bool take_key(struct str *rest, struct str *key_r)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < rest->len && (quoted || !ascii_is_space(rest->p[i])); i++) {
		if (rest->p[i] == '\\' && quoted && i + 1 < rest->len)
			i++;
		else if (rest->p[i] == '"')
			quoted = !quoted;
	}
	*key_r = str_slice(*rest, 0, i);
	*rest = str_skip(*rest, i);
	return !quoted;
}

/* "key white space value" */
static bool map_line(struct reader *r, struct str line)
{
	struct str rest = line;
	struct str key;
	bool closed = take_key(&rest, &key);
	if (!closed && line.p[0] == '"') {
		log_warning(
		    "%s, line %u: unbalanced '\"' in '%.*s' -- ignoring this line",
		    r->source->path, r->line, STR_ARG(str_slice(line, 0, 200)));
		return true;
	}
	if (!closed) { /* a quote inside a word is a byte like others */
		ptrdiff_t blank = str_find_any(line, " \t\r\n\v\f");
		key = blank < 0 ? line : str_slice(line, 0, (size_t)blank);
		rest = str_skip(line, key.len);
	}
	struct str value = str_trim(rest);
	if (value.len == 0) {
		warn(r, "expected format: key whitespace value");
		return true;
	}
	if (key.len > 1 && key.p[key.len - 1] == ':')
		warn(r, "record is in \"key: value\" format; is this an alias file?");
	return give(r, key, value);
}

/* A quoted local part (RFC 5322 3.2.4) without its quotes and backslashes. */
static bool take_quoted_name(struct str *rest, struct buf *name)
{
	size_t i = 1;
	for (; i < rest->len && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->len)
			i++;
		buf_add_char(name, rest->p[i]);
	}
	if (i == rest->len)
		return false;
	*rest = str_trim(str_skip(*rest, i + 1));
	if (rest->len == 0 || rest->p[0] != ':')
		return false;
	*rest = str_skip(*rest, 1);
	return true;
}

static bool take_plain_name(struct str *rest, struct buf *name)
{
	ptrdiff_t colon = str_find(*rest, ':');
	if (colon < 0)
		return false;
	struct str text = str_trim(str_slice(*rest, 0, (size_t)colon));
	if (str_find_any(text, "\",;<>") >= 0)
		return false;
	buf_add_str(name, text);
	*rest = str_skip(*rest, (size_t)colon + 1);
	return true;
}

/* One blank for white space, and one behind each comma, but for what is quoted. */
static void add_alias_value(struct buf *out, struct str text)
{
	bool quoted = false;
	bool blank = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		if (!quoted && ascii_is_space(c)) {
			blank = true;
			continue;
		}
		if (blank && out->len > 0 && c != ',')
			buf_add_char(out, ' ');
		blank = !quoted && c == ',';
		buf_add_char(out, c);
		if (quoted && c == '\\' && i + 1 < text.len)
			buf_add_char(out, text.p[++i]);
		else if (c == '"')
			quoted = !quoted;
	}
}

/* "name: value" of aliases(5) */
static bool alias_line(struct reader *r, struct str line)
{
	struct str rest = line;
	buf_clear(&r->key);
	buf_clear(&r->value);
	bool ok = line.p[0] == '"' ? take_quoted_name(&rest, &r->key)
				   : take_plain_name(&rest, &r->key);
	(r->source->tidy != NULL ? r->source->tidy : add_alias_value)(
	    &r->value, str_trim(rest));
	if (!ok || r->key.len == 0 || r->value.len == 0) {
		warn(r, "need name:value pair");
		return true;
	}
	if (line.p[0] != '"' && str_find(buf_str(&r->key), '@') >= 0) {
		warn(r, "name must be local");
		return true;
	}
	return give(r, buf_str(&r->key), buf_str(&r->value));
}

static bool one_line(struct reader *r, const struct buf *buffer)
{
	struct str line = buf_str(buffer);
	if (!buf_ok(buffer)) {
		warn(r, "line is too long -- ignoring this line");
		return true;
	}
	if (ascii_is_space(line.p[0])) {
		log_warning("%s: logical line must not start with whitespace: \"%.*s\"",
		    r->source->path, STR_ARG(str_slice(line, 0, 200)));
		return true;
	}
	if (str_find(line, '\0') >= 0) {
		warn(r, "line contains a NUL byte -- ignoring this line");
		return true;
	}
	return r->source->format == SOURCE_ALIASES ? alias_line(r, line)
						   : map_line(r, line);
}

bool table_source_parse(const struct table_source *source, struct str text,
    source_entry *entry, void *context)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct reader r = {
	    .source = source,
	    .entry = entry,
	    .context = context,
	    .key = BUF_INIT(LINE_MAX_BYTES),
	    .value = BUF_INIT(LINE_MAX_BYTES),
	};
	struct config_lines lines;
	bool more = true;
	config_lines_init(&lines, text);
	while (more && config_lines_next(&lines, &line, &r.line))
		more = one_line(&r, &line);
	buf_free(&r.key);
	buf_free(&r.value);
	return more;
}

bool table_source_read(const struct table_source *source, source_entry *entry,
    void *context, struct buf *error)
{
	if (source->text.p != NULL)
		return table_source_parse(source, source->text, entry, context);
	CLEANUP(buf_free) struct buf text = BUF_INIT(SOURCE_SIZE_MAX);
	int status = file_read_whole(AT_FDCWD, source->path, &text);
	if (status < 0) {
		buf_printf(error, "open %s: %s", source->path, strerror(-status));
		return false;
	}
	return table_source_parse(source, buf_str(&text), entry, context);
}
