/* The order of hosts, for hosts.c only. */
#ifndef SMTP_HOSTS_H
#define SMTP_HOSTS_H

#include "smtp/smtp.h"

/* By preference; equals as smtp_address_preference and smtp_randomize_addresses say. */
void hosts_sort(struct host_list *list);
/* No more than smtp_mx_address_limit, of both protocols when
 * smtp_balance_inet_protocols. */
void hosts_limit(struct host_list *list);
/* Exchangers by preference, SRV records as RFC 2782 has it. */
void hosts_sort_records(struct dns_record *records, size_t count);

#endif
