/* SPDX-License-Identifier: MIT */
/* strtoull() takes signs, spaces and other bases, and saturates: nothing here does. The output is
 * written only when the whole text is a number within the limit. */
#include "common/base/number.h"

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
