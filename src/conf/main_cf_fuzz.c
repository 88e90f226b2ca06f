/* Text as main.cf: lines, assignments, expansion of every value that it sets. */
#include <stdint.h>

#include "base/log.h"
#include "base/map.h"
#include "conf/config_line.h"
#include "conf/expand.h"
#include "conf/references.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pair {
	const char *value;
};

static const char *lookup(void *context, struct str name, UNUSED bool *expand_r)
{
	const struct pair *pair = map_get(context, name);
	return pair != NULL ? pair->value : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pair pairs[64];
	size_t count = 0;
	CLEANUP(map_free_cleanup) struct map *map = map_new();
	struct references *references = references_new();
	CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
	CLEANUP(buf_free) struct buf values = BUF_INIT(65536);
	struct config_lines lines;
	unsigned number = 0;
	if (buf_reserve(&values, 65536) == NULL)
		return 0;
	config_lines_init(&lines, (struct str){(const char *)data, size});
	while (count < 64 && config_lines_next(&lines, &line, &number)) {
		ptrdiff_t equals = str_find(buf_str(&line), '=');
		if (equals < 0 || values.len + line.len + 1 > 65536 || !buf_ok(&line))
			continue;
		struct str name = str_trim(str_slice(buf_str(&line), 0, (size_t)equals));
		struct str value = str_trim(str_skip(buf_str(&line), (size_t)equals + 1));
		if (str_find(value, '\0') >= 0)
			continue;
		references_add(references, name, value);
		pairs[count].value = values.p + values.len;
		buf_add_str(&values, value);
		buf_add_char(&values, '\0');
		(void)map_set(map, name, &pairs[count++]);
	}
	for (size_t i = 0; i < count; i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		int64_t number_of = 0;
		bool unknown = false;
		if (expand_text(
			str_of(pairs[i].value), lookup, map, &out, &error, &unknown)) {
			(void)!conf_parse_time(buf_str(&out), 's', &number_of);
			(void)!conf_parse_level(buf_str(&out), &number_of);
			(void)references_has(references, buf_str(&out));
		}
	}
	references_free(references);
	return 0;
}
