/* Names of ports: known_tcp_ports ("smtps=submissions=465") before what the system knows.
 */
#include "master/master.h"
#include "net/address.h"

/* One word of the list: names and, last, the number. */
static bool look_in(struct str word, struct str wanted, uint16_t *port_r)
{
	struct str part = STR_EMPTY;
	bool found = false;
	int64_t port;
	while (str_next(&word, "=", &part))
		found = found || str_equal(part, wanted);
	if (!found || !str_to_range(part, 1, UINT16_MAX, &port))
		return false;
	*port_r = (uint16_t)port;
	return true;
}

bool ports_parse(struct str text, uint16_t *port_r)
{
	struct str list = str_of(master.common.known_tcp_ports), word;
	int64_t number;
	if (!str_to_range(text, 1, UINT16_MAX, &number))
		while (str_next(&list, ", \t\r\n", &word))
			if (look_in(word, text, port_r))
				return true;
	return net_port_parse(text, port_r);
}
