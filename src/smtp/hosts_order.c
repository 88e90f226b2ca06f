/* In which order the hosts of a destination are tried, and how many of them. */
#include "base/random.h"
#include "smtp/hosts.h"

static int preferred_family(void)
{
	struct str preference = str_of(smtp.params.smtp_address_preference);
	if (str_is_nocase(preference, "ipv4"))
		return AF_INET;
	return str_is_nocase(preference, "ipv6") ? AF_INET6 : AF_UNSPEC;
}

/* The lower, the sooner. */
static unsigned rank(const struct host *h, int family)
{
	bool second = family != AF_UNSPEC && net_address_family(&h->address) != family;
	return h->preference * 2 + second;
}

static void shuffle(struct host_list *list)
{
	for (size_t i = list->count; i > 1; i--) {
		size_t other = random_below((uint32_t)i);
		struct host swap = list->hosts[i - 1];
		list->hosts[i - 1] = list->hosts[other];
		list->hosts[other] = swap;
	}
}

/* Equal preferences in random order (RFC 5321 5.1): shuffled, then sorted by a method
 * that keeps the order of equals. */
void hosts_sort(struct host_list *list)
{
	int family = preferred_family();
	if (smtp.params.smtp_randomize_addresses)
		shuffle(list);
	for (size_t i = 1; i < list->count; i++) {
		struct host h = list->hosts[i];
		size_t at = i;
		for (; at > 0 && rank(&list->hosts[at - 1], family) > rank(&h, family);
		     at--)
			list->hosts[at] = list->hosts[at - 1];
		list->hosts[at] = h;
	}
}

/* How many of each family are tried: of the first host's, the greater half, and more when
 * there are too few of the other. */
static void shares(const struct host_list *list, size_t limit, size_t share[2])
{
	size_t of_first = 0;
	int first = net_address_family(&list->hosts[0].address);
	for (size_t i = 0; i < list->count; i++)
		of_first += net_address_family(&list->hosts[i].address) == first;
	size_t of_second = list->count - of_first;
	share[0] = limit - limit / 2 < of_first ? limit - limit / 2 : of_first;
	share[1] = limit - share[0] < of_second ? limit - share[0] : of_second;
	share[0] = limit - share[1];
}

void hosts_limit(struct host_list *list)
{
	size_t limit = (size_t)smtp.params.smtp_mx_address_limit, kept = 0;
	size_t share[2] = {limit, limit};
	if (limit == 0 || list->count <= limit)
		return;
	int first = net_address_family(&list->hosts[0].address);
	if (smtp.params.smtp_balance_inet_protocols)
		shares(list, limit, share);
	for (size_t i = 0; i < list->count && kept < limit; i++) {
		size_t *left =
		    &share[net_address_family(&list->hosts[i].address) != first];
		if (*left == 0)
			continue;
		(*left)--;
		list->hosts[kept++] = list->hosts[i];
	}
	list->count = kept;
}

static void swap_records(struct dns_record *a, struct dns_record *b)
{
	struct dns_record swap = *a;
	*a = *b;
	*b = swap;
}

/* RFC 2782: of those of one priority each is first as often as its weight says; those
 * without weight stand before the others, so that they have a small chance. */
static void draw(struct dns_record *records, size_t count)
{
	uint32_t sum = 0, at = 0;
	for (size_t i = 0; i < count; i++) {
		sum += records[i].weight;
		if (records[i].weight == 0)
			swap_records(&records[at++], &records[i]);
	}
	uint32_t drawn = random_below(sum + 1), so_far = 0;
	for (size_t i = 0; i < count; i++) {
		so_far += records[i].weight;
		if (so_far >= drawn) {
			swap_records(&records[0], &records[i]);
			return;
		}
	}
}

void hosts_sort_records(struct dns_record *records, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct dns_record r = records[i];
		size_t at = i;
		for (; at > 0 && records[at - 1].preference > r.preference; at--)
			records[at] = records[at - 1];
		records[at] = r;
	}
	for (size_t i = 0; i < count && records[i].type == DNS_SRV; i++) {
		size_t equal = i + 1;
		while (
		    equal < count && records[equal].preference == records[i].preference)
			equal++;
		draw(records + i, equal - i);
	}
}
