/* SPDX-License-Identifier: MIT */
/* strtoull() takes signs, spaces and other bases, and saturates: nothing here does. The output is
 * written only when the whole text is a number within the limit. */
#include "common/base/number.h"

#include <string.h>

bool number_parse(const char *text, size_t n, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (digit > max || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

bool number_parse_size(const char *text, uint64_t max, uint64_t *ret_number)
{
    static const char units[] = "KMGkmg";
    size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
    unsigned shift = unit ? 10 * ((unsigned)(unit - units) % 3 + 1) : 0;
    uint64_t amount;
    if (text[digits + (unit ? 1 : 0)] || !number_parse(text, digits, max >> shift, &amount))
        return false;
    *ret_number = amount << shift;
    return true;
}
