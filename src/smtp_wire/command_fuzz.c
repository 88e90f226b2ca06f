/* SMTP command lines and message text: first byte 0 mod 2 a command, else data in pieces.
 */
#include <stdint.h>

#include "base/panic.h"
#include "mail/address.h"
#include "smtp_wire/command.h"
#include "smtp_wire/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parameters(struct str text)
{
	struct str name, value;
	while (smtp_parameter_next(&text, &name, &value))
		ENSURE(name.len <= text.len + 100000);
}

static void command(struct str line)
{
	struct smtp_command c = {.too_long = false};
	struct str rest = STR_EMPTY;
	CLEANUP(buf_free) struct buf path = BUF_INIT(ADDRESS_MAX);
	smtp_command_split(line, &c);
	ptrdiff_t colon = str_find(c.arguments, ':');
	struct address_path_rules rules = {.null_ok = true};
	if (colon >= 0 &&
	    address_path_parse(
		str_skip(c.arguments, (size_t)colon + 1), rules, &path, &rest))
		parameters(rest);
}

/* The same text in one piece and in pieces of `step`. */
static void text(struct str in, enum bare_newline mode, size_t step)
{
	CLEANUP(buf_free) struct buf whole = BUF_INIT(100000), pieces = BUF_INIT(100000);
	struct data_decoder a, b;
	size_t used = 0;
	data_decoder_init(&a, mode);
	data_decoder_init(&b, mode);
	size_t end = data_decode(&a, in, &whole);
	while (used < in.len && !b.ended)
		used += data_decode(&b, str_slice(in, used, used + step), &pieces);
	ENSURE(end == used && a.ended == b.ended);
	ENSURE(str_equal(buf_str(&whole), buf_str(&pieces)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 65536)
		return 0;
	struct str in = {(const char *)data + 2, size - 2};
	if (data[0] % 2 == 0)
		command(in);
	else
		text(in, (enum bare_newline)(data[0] / 2 % 3), (size_t)data[1] % 17 + 1);
	return 0;
}
