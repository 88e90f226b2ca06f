#include "mail/dsn.h"

static size_t digits_at(struct str text)
{
	size_t n = 0;
	while (n < text.len && n < 4 && ascii_is_digit(text.p[n]))
		n++;
	return n >= 1 && n <= 3 ? n : 0;
}

size_t dsn_status_at(struct str text)
{
	if (text.len < 5 || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
		return 0;
	size_t at = 1;
	for (int part = 0; part < 2; part++) {
		if (at >= text.len || text.p[at] != '.')
			return 0;
		size_t n = digits_at(str_skip(text, at + 1));
		if (n == 0)
			return 0;
		at += 1 + n;
	}
	if (at < text.len && !ascii_is_space(text.p[at]))
		return 0;
	return at < DSN_STATUS_MAX ? at : 0;
}

bool dsn_status_valid(struct str status)
{
	return status.len > 0 && dsn_status_at(status) == status.len;
}

static const struct {
	const char *word;
	uint32_t flag;
} notify_words[] = {
    {"NEVER", DSN_NOTIFY_NEVER},
    {"SUCCESS", DSN_NOTIFY_SUCCESS},
    {"FAILURE", DSN_NOTIFY_FAILURE},
    {"DELAY", DSN_NOTIFY_DELAY},
};

static uint32_t notify_flag(struct str word)
{
	for (size_t i = 0; i < ARRAY_SIZE(notify_words); i++)
		if (str_is_nocase(word, notify_words[i].word))
			return notify_words[i].flag;
	return 0;
}

bool dsn_notify_parse(struct str text, uint32_t *flags_r)
{
	uint32_t flags = 0;
	for (bool more = true; more;) {
		ptrdiff_t comma = str_find(text, ',');
		more = comma >= 0;
		uint32_t flag =
		    notify_flag(more ? str_slice(text, 0, (size_t)comma) : text);
		if (flag == 0)
			return false;
		flags |= flag;
		if (more)
			text = str_skip(text, (size_t)comma + 1);
	}
	/* RFC 3461 4.1: NEVER stands alone. */
	if ((flags & DSN_NOTIFY_NEVER) != 0 && flags != DSN_NOTIFY_NEVER)
		return false;
	*flags_r = flags;
	return true;
}

void dsn_notify_add(struct buf *out, uint32_t flags)
{
	const char *separator = "";
	for (size_t i = 0; i < ARRAY_SIZE(notify_words); i++) {
		if ((flags & notify_words[i].flag) == 0)
			continue;
		buf_add_cstr(out, separator);
		buf_add_cstr(out, notify_words[i].word);
		separator = ",";
	}
}

bool dsn_ret_parse(struct str text, uint32_t *ret_r)
{
	if (str_is_nocase(text, "FULL"))
		*ret_r = DSN_RET_FULL;
	else if (str_is_nocase(text, "HDRS"))
		*ret_r = DSN_RET_HDRS;
	else
		return false;
	return true;
}

void xtext_encode(struct buf *out, struct str raw)
{
	for (size_t i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.p[i];
		if (c > 32 && c < 127 && c != '+' && c != '=')
			buf_add_char(out, (char)c);
		else
			buf_printf(out, "+%02X", (unsigned)c);
	}
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_upper(c);
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3461 wants what is encoded to be printable; a decoded control byte would end up in
 * queue records and notices. Bytes of UTF-8 pass (RFC 6533). */
static bool decoded_byte_allowed(int c)
{
	return c >= 32 && c != 127;
}

bool xtext_decode(struct buf *out, struct str text)
{
	size_t start = out->len;
	for (size_t i = 0; i < text.len; i++) {
		int c = (unsigned char)text.p[i];
		if (c == '+') {
			int high = i + 2 < text.len ? hex_digit(text.p[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(text.p[i + 2]) : -1;
			if (low < 0)
				goto bad;
			c = high * 16 + low;
			i += 2;
		}
		if (!decoded_byte_allowed(c))
			goto bad;
		buf_add_char(out, (char)c);
	}
	return true;
bad:
	buf_truncate(out, start);
	return false;
}

static void add_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | (c >> 6)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xe0 | (c >> 12)));
		buf_add_char(out, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xf0 | (c >> 18)));
		buf_add_char(out, (char)(0x80 | ((c >> 12) & 0x3f)));
		buf_add_char(out, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* "\x{E9}" at the start of `text`: bytes taken, or 0. */
static size_t embedded_unicode(struct str text, uint32_t *c_r)
{
	if (!str_starts(text, STR("\\x{")))
		return 0;
	uint32_t c = 0;
	size_t at = 3;
	for (; at < text.len && at < 9 && hex_digit(text.p[at]) >= 0; at++)
		c = c * 16 + (uint32_t)hex_digit(text.p[at]);
	if (at == 3 || at >= text.len || text.p[at] != '}')
		return 0;
	if (c < 32 || c == 127 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*c_r = c;
	return at + 1;
}

/* RFC 6533 3: the address of the utf-8 type has an encoding of its own. */
static bool unicode_decode(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len;) {
		uint32_t c = 0;
		size_t taken = embedded_unicode(str_skip(text, i), &c);
		if (taken > 0) {
			add_utf8(out, c);
			i += taken;
			continue;
		}
		if (!decoded_byte_allowed((unsigned char)text.p[i]) || text.p[i] == '\\')
			return false;
		buf_add_char(out, text.p[i++]);
	}
	return true;
}

/* RFC 5322 atom; enough for an address type. */
static bool type_valid(struct str type)
{
	for (size_t i = 0; i < type.len; i++)
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-' && type.p[i] != '_')
			return false;
	return type.len > 0;
}

bool dsn_orcpt_parse(struct str text, struct buf *out)
{
	size_t start = out->len;
	ptrdiff_t semicolon = str_find(text, ';');
	if (semicolon <= 0 || text.len > DSN_ORCPT_MAX)
		return false;
	struct str type = str_slice(text, 0, (size_t)semicolon);
	struct str address = str_skip(text, (size_t)semicolon + 1);
	if (!type_valid(type))
		return false;
	buf_add_str(out, type);
	buf_add_char(out, ';');
	if (str_is_nocase(type, "utf-8") ? unicode_decode(out, address)
					 : xtext_decode(out, address))
		return true;
	buf_truncate(out, start);
	return false;
}
