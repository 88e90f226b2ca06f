#include "table/base64.h"

#include <errno.h>
#include <fcntl.h>
#include "base/file.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct str bytes)
{
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t count = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t group = 0;
		for (size_t j = 0; j < 3; j++)
			group =
			    group << 8 | (j < count ? (unsigned char)bytes.p[i + j] : 0u);
		for (size_t j = 0; j < 4; j++)
			buf_add_char(
			    out, j <= count ? digits[group >> (18 - 6 * j) & 63] : '=');
	}
}

static bool decode_group(struct buf *out, const char *text, bool last)
{
	uint32_t group = 0;
	size_t padding = 0;
	for (size_t j = 0; j < 4; j++) {
		const char *found = text[j] != '\0' ? strchr(digits, text[j]) : NULL;
		if (text[j] == '=' && last && j >= 2)
			padding++;
		else if (found == NULL || padding > 0)
			return false;
		group = group << 6 | (found != NULL ? (uint32_t)(found - digits) : 0);
	}
	for (size_t j = 0; j < 3 - padding; j++)
		buf_add_char(out, (char)(group >> (16 - 8 * j) & 255));
	return true;
}

bool base64_decode(struct buf *out, struct str text)
{
	if (text.len % 4 != 0)
		return false;
	for (size_t i = 0; i < text.len; i += 4)
		if (!decode_group(out, text.p + i, i + 4 == text.len))
			return false;
	return true;
}

bool base64_files(struct str names, struct buf *out, struct buf *error)
{
	CLEANUP(buf_free) struct buf content = BUF_INIT(BASE64_VALUE_MAX / 2);
	struct str name;
	while (str_next(&names, ", \t\r\n", &name)) {
		CLEANUP(buf_free) struct buf path = BUF_INIT(4096);
		CLEANUP(buf_free) struct buf one = BUF_INIT(BASE64_VALUE_MAX / 2);
		buf_add_str(&path, name);
		int status = file_read_whole(AT_FDCWD, buf_cstr(&path), &one);
		if (content.len > 0)
			buf_add_char(&content, '\n'); /* as Postfix does */
		buf_add_str(&content, buf_str(&one));
		if (status < 0 || !buf_ok(&content)) {
			buf_printf(error, "open %s: %s", buf_cstr(&path),
			    strerror(status < 0 ? -status : EFBIG));
			return false;
		}
	}
	base64_encode(out, buf_str(&content));
	return true;
}
