#include <map>
#include <string>
#include <vector>

// It's a matrix (small).
template <typename T>
class Matrix {
public:
    explicit Matrix(int size) : rows(size, std::vector<T>(size)) {}

    T& at(int row, int column) { return rows[row][column]; }

    std::map<std::string, T> named(const std::vector<std::string>& names) const {
        std::map<std::string, T> found;
        for (int i = 0; i < static_cast<int>(names.size()); ++i) {
            found.emplace(names[i] + "(" + '\'', rows[i][i] * 1'000);
        }
        return found;
    }

private:
    std::vector<std::vector<T>> rows;
};
