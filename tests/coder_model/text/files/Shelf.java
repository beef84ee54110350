import java.util.*;
import java.util.function.Function;

/** It's a shelf (of names). */
class Shelf {
    private final Map<String, List<Integer>> names = new HashMap<>();

    void add(String name, int year) {
        names.computeIfAbsent(name.trim(), key -> new ArrayList<>()).add(year);
    }

    List<String> report(Function<String, String> format) {
        List<String> found = new ArrayList<>();
        for (Map.Entry<String, List<Integer>> entry : names.entrySet()) {
            char open = '(', quote = '\'';
            found.add(format.apply(entry.getKey()) + open + entry.getValue().size() + ")" + quote);
        }
        return found.subList(0, Math.min(found.size(), 10));
    }
}
