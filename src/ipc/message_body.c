#include "ipc/message_body.h"

#include "ipc/little_endian.h"

void ipc_put_u8(struct buf *out, uint8_t v)
{
	buf_add_char(out, (char)v);
}

void ipc_put_u16(struct buf *out, uint16_t v)
{
	char bytes[2];
	put_le16(bytes, v);
	buf_add(out, bytes, sizeof(bytes));
}

void ipc_put_u32(struct buf *out, uint32_t v)
{
	char bytes[4];
	put_le32(bytes, v);
	buf_add(out, bytes, sizeof(bytes));
}

void ipc_put_u64(struct buf *out, uint64_t v)
{
	char bytes[8];
	put_le64(bytes, v);
	buf_add(out, bytes, sizeof(bytes));
}

void ipc_put_bytes(struct buf *out, struct str v, size_t max)
{
	if (v.len > max || v.len > UINT32_MAX) {
		out->overflow = true;
		return;
	}
	ipc_put_u32(out, (uint32_t)v.len);
	buf_add_str(out, v);
}

void ipc_put_count(struct buf *out, uint32_t count)
{
	if (count > IPC_LIST_MAX)
		out->overflow = true;
	ipc_put_u32(out, count);
}

static bool take(struct str *rest, size_t len, const char **p_r)
{
	if (rest->len < len)
		return false;
	*p_r = rest->p;
	*rest = str_skip(*rest, len);
	return true;
}

bool ipc_get_u8(struct str *rest, uint8_t *r)
{
	const char *p;
	if (!take(rest, 1, &p))
		return false;
	*r = (uint8_t)*p;
	return true;
}

bool ipc_get_u16(struct str *rest, uint16_t *r)
{
	const char *p;
	if (!take(rest, 2, &p))
		return false;
	*r = get_le16(p);
	return true;
}

bool ipc_get_u32(struct str *rest, uint32_t *r)
{
	const char *p;
	if (!take(rest, 4, &p))
		return false;
	*r = get_le32(p);
	return true;
}

bool ipc_get_u64(struct str *rest, uint64_t *r)
{
	const char *p;
	if (!take(rest, 8, &p))
		return false;
	*r = get_le64(p);
	return true;
}

bool ipc_get_i64(struct str *rest, int64_t *r)
{
	uint64_t bits;
	if (!ipc_get_u64(rest, &bits))
		return false;
	*r = (int64_t)bits;
	return true;
}

bool ipc_get_bool(struct str *rest, bool *r)
{
	uint8_t v;
	if (!ipc_get_u8(rest, &v) || v > 1)
		return false;
	*r = v == 1;
	return true;
}

bool ipc_get_bytes(struct str *rest, size_t max, struct str *r)
{
	uint32_t len;
	const char *p;
	if (!ipc_get_u32(rest, &len) || len > max || !take(rest, len, &p))
		return false;
	*r = (struct str){p, len};
	return true;
}

bool ipc_get_str(struct str *rest, size_t max, struct str *r)
{
	struct str text;
	if (!ipc_get_bytes(rest, max, &text) || str_has_control(text))
		return false;
	*r = text;
	return true;
}

bool ipc_get_count(struct str *rest, size_t least, uint32_t *r)
{
	uint32_t count;
	if (!ipc_get_u32(rest, &count) || count > IPC_LIST_MAX ||
	    count > rest->len / least)
		return false;
	*r = count;
	return true;
}

static void start_field(struct buf *out, const char *name)
{
	if (out->len > 0 && out->p[out->len - 1] != '{')
		buf_add_char(out, ' ');
	buf_add_cstr(out, name);
	buf_add_char(out, '=');
}

void ipc_print_u64(struct buf *out, const char *name, uint64_t v)
{
	start_field(out, name);
	buf_add_u64(out, v);
}

void ipc_print_i64(struct buf *out, const char *name, int64_t v)
{
	start_field(out, name);
	buf_add_i64(out, v);
}

void ipc_print_str(struct buf *out, const char *name, struct str v)
{
	start_field(out, name);
	buf_add_char(out, '"');
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_add_char(out, '\\');
		if (ascii_is_print(v.p[i]))
			buf_add_char(out, v.p[i]);
		else
			buf_printf(out, "\\x%02x", (unsigned)(uint8_t)v.p[i]);
	}
	buf_add_char(out, '"');
}

void ipc_print_list_start(struct buf *out, const char *name, uint32_t count)
{
	ipc_print_u64(out, name, count);
}

void ipc_print_record_start(struct buf *out)
{
	buf_add_char(out, '{');
}

void ipc_print_record_end(struct buf *out)
{
	buf_add_char(out, '}');
}
